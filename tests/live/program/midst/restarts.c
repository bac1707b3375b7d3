/*
 * Calls that wait for a socket, and write to pages that are write-protected. In
 * the middle of each SIGUSR1 comes, from somebody else, and its handler gives
 * them what they wait for: whether they go on is for SA_RESTART to say.
 */
#define _GNU_SOURCE
#include "../behaviour/behaviour.h"

#include <sys/epoll.h>
#include <sys/socket.h>

enum { NR = 4 };

static int pair[2];

static void give(int sig)
{
	(void)sig;
	CHECK(write(pair[1], "b", 1) == 1);
}

static void handle(int flags)
{
	struct sigaction handler = { .sa_handler = give, .sa_flags = flags };

	CHECK(sigaction(SIGUSR1, &handler, NULL) == 0);
}

int main(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0);
	struct arena arena;
	char byte;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event) == 0);
	arena_start(&arena, NR, SHARED);
	alarm(10);
	handle(SA_RESTART);
	show("recv, SA_RESTART", recv(pair[0], arena_page(&arena, 0), 1, 0));
	show("epoll_wait, SA_RESTART", epoll_wait(epoll, (void *)arena_page(&arena, 1), 1, -1));
	CHECK(read(pair[0], &byte, 1) == 1);
	handle(0);
	show("recv", recv(pair[0], arena_page(&arena, 2), 1, 0));
	CHECK(read(pair[0], &byte, 1) == 1);
	CHECK(arena_page(&arena, 0)[0] == 'b' && arena_page(&arena, 2)[0] == head_byte(2));
	arena_end(&arena);
	puts("EXIT-SUCCESS");
	return 0;
}

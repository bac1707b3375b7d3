/* Who waits in a call gets what comes, also when a fork protects its buffer meanwhile. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { NR = 8, READERS = 5 };

static int ends[READERS][2];
static unsigned char *where[READERS];
static int epoll;

static void *reader(void *arg)
{
	int which = (int)(intptr_t)arg;
	struct sockaddr_storage from;
	struct iovec iov = { where[which], 100 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t count = -1;

	switch (which) {
	case 0:
		count = read(ends[which][0], where[which], 100);
		break;
	case 1:
		count = recvfrom(ends[which][0], where[which], 100, 0, (void *)&from,
				 &(socklen_t){ sizeof(from) });
		break;
	case 2:
		count = recvmsg(ends[which][0], &message, 0);
		break;
	case 3:
		count = readv(ends[which][0], &iov, 1);
		break;
	case 4:
		CHECK(epoll_wait(epoll, (struct epoll_event *)where[which], 3, -1) == 1);
		CHECK(((struct epoll_event *)where[which])->data.u64 == 77);
		count = read(ends[which][0], where[which], 100);
	}
	CHECK(count == 5);
	return NULL;
}

int main(void)
{
	static struct arena arena;
	pthread_t threads[READERS];
	char text[8];

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	for (int way = PLAIN; way < WAYS; way++) {
		unsigned char *pages = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		epoll = epoll_create1(0);
		for (int i = 0; i < READERS; i++) {
			if (i == 1 || i == 2)
				CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]) == 0);
			else
				CHECK(pipe(ends[i]) == 0);
			where[i] = pages + i * PAGE + 64;
		}
		CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[4][0],
				&(struct epoll_event){ EPOLLIN, { .u64 = 77 } }) == 0);
		for (int i = 0; i < READERS; i++)
			CHECK(pthread_create(&threads[i], NULL, reader, (void *)(intptr_t)i) == 0);
		/* They are in their calls when the pages become what they become. */
		sleep_ms(30);
		arena_of(&arena, pages, NR, (enum way)way);
		sleep_ms(10);
		for (int i = 0; i < READERS; i++) {
			snprintf(text, sizeof(text), "text%d", i);
			CHECK(write(ends[i][1], text, 5) == 5);
		}
		for (int i = 0; i < READERS; i++) {
			CHECK(pthread_join(threads[i], NULL) == 0);
			printf("%s: %.5s\n", way_name[way], where[i]);
			close(ends[i][0]), close(ends[i][1]);
		}
		close(epoll);
		arena_end(&arena);
		munmap(pages, NR * PAGE);
	}
	puts("EXIT-SUCCESS");
	return 0;
}

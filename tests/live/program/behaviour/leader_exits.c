/* The leader ends, its threads go on; then a signal, or exit_group, ends them all. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <pthread.h>

enum { NR = 4 };

static struct arena *arena;
static bool killed;

static void *last(void *arg)
{
	struct iovec iov = { arena_page(arena, 3), 100 };
	int ends[2];
	pid_t pid;

	(void)arg;
	sleep_ms(20);
	/* The leader is a zombie. */
	memset(arena_page(arena, 0), 'l', 100);
	CHECK(pread(arena->direct, arena_page(arena, 1) + TAIL, SECTOR, 0) == SECTOR);
	CHECK(pipe(ends) == 0 && write(ends[1], "readv", 5) == 5);
	CHECK(readv(ends[0], &iov, 1) == 5 && !memcmp(iov.iov_base, "readv", 5));
	pid = fork();
	if (pid == 0)
		_exit(*arena_page(arena, 0) == 'l' ? 8 : 1);
	CHECK(WEXITSTATUS(status_of(pid)) == 8);
	if (killed) {
		raise(SIGTERM);
		pause();
	}
	syscall(SYS_exit_group, 6);
	return NULL;
}

static void behave(struct arena *given)
{
	pthread_t thread;
	int status;
	pid_t pid;

	arena = given;
	for (int i = 0; i < 2; i++) {
		killed = i;
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			CHECK(pthread_create(&thread, NULL, last, NULL) == 0);
			memset(arena_page(arena, 2), 'm', 100);
			syscall(SYS_exit, 5);
		}
		status = status_of(pid);
		printf("status %#x\n", status);
	}
}

int main(void)
{
	return in_every_way(NR, behave);
}

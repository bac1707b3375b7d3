/* SIGKILL to children in all they do: running, waiting, storing, reading directly. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <pthread.h>

enum { NR = 4 };

static struct arena *arena;

static void *store(void *arg)
{
	(void)arg;
	for (;;)
		memset(arena_page(arena, 0), rand(), TAIL);
	return NULL;
}

static void victim(int what)
{
	pthread_t thread;
	unsigned char *tail = arena_page(arena, 1) + TAIL;

	switch (what) {
	case 0:
		for (;;)
			pause();
	case 1:
		CHECK(pthread_create(&thread, NULL, store, NULL) == 0);
		store(NULL);
		break;
	case 2:
		for (;;)
			CHECK(pread(arena->direct, tail, SECTOR, 0) == SECTOR);
	case 3:
		for (;;) {
			pid_t pid = fork();

			if (pid == 0)
				_exit(0);
			status_of(pid);
		}
	}
}

static void behave(struct arena *given)
{
	int ends[2];
	char byte;
	pid_t pid;

	arena = given;
	for (int what = 0; what < 4; what++) {
		CHECK(pipe(ends) == 0);
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			CHECK(write(ends[1], "x", 1) == 1);
			victim(what);
		}
		CHECK(read(ends[0], &byte, 1) == 1);
		sleep_ms(what * 5);
		CHECK(kill(pid, SIGKILL) == 0);
		printf("victim %d: %#x\n", what, status_of(pid));
		close(ends[0]), close(ends[1]);
	}
	CHECK(arena_is_intact(arena, 0));
}

int main(void)
{
	return in_every_way(NR, behave);
}

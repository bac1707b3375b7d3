/* execve in a thread that is not the leader, while the others store to framed pages. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <pthread.h>

enum { NR = 4, STORERS = 2 };

static struct arena arena;
static const char *self;
static char next[2];

static void *store(void *arg)
{
	volatile unsigned char *at = arena_page(&arena, (int)(intptr_t)arg);

	for (;;)
		at[7]++;
	return NULL;
}

static void *execute(void *arg)
{
	(void)arg;
	execl(self, "exec_from_thread", next, (char *)NULL);
	fail(__LINE__, "execl");
}

int main(int argc, char **argv)
{
	int way = argc > 1 ? atoi(argv[1]) : 0;
	pthread_t thread;

	self = "/proc/self/exe";
	CHECK(getpid() == (int)syscall(SYS_gettid));
	if (argc > 1)
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	if (way == WAYS) {
		puts("EXIT-SUCCESS");
		return 0;
	}
	printf("%s\n", way_name[way]);
	fflush(stdout);
	arena_start(&arena, NR, (enum way)way);
	for (intptr_t i = 0; i < STORERS; i++)
		CHECK(pthread_create(&thread, NULL, store, (void *)i) == 0);
	next[0] = (char)('0' + way + 1);
	CHECK(pthread_create(&thread, NULL, execute, NULL) == 0);
	pthread_join(thread, NULL);
	return 1;
}

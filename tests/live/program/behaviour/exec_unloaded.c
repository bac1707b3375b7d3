/* A program that nothing can be mapped into: its limits forbid. Its SIGSEGV is its own. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <setjmp.h>
#include <sys/resource.h>

enum { NR = 4 };

static sigjmp_buf before;
static volatile char *volatile nowhere = (char *)8;

static void caught(int sig)
{
	siglongjmp(before, sig);
}

static void store_nowhere(void)
{
	*nowhere = 1;
}

static int again(void)
{
	struct sigaction handler = { .sa_handler = caught };
	int sig;
	pid_t pid;

	CHECK(sigaction(SIGSEGV, NULL, &handler) == 0 && handler.sa_handler == SIG_DFL);
	handler.sa_handler = caught;
	CHECK(sigaction(SIGSEGV, &handler, NULL) == 0);
	sig = sigsetjmp(before, 1);
	if (!sig)
		store_nowhere();
	printf("caught %d\n", sig);
	CHECK(signal(SIGSEGV, SIG_IGN) != SIG_ERR && raise(SIGSEGV) == 0);
	CHECK(signal(SIGSEGV, SIG_DFL) != SIG_ERR);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		store_nowhere();
	printf("killed by %d\n", WTERMSIG(status_of(pid)));
	puts("EXIT-SUCCESS");
	return 0;
}

int main(int argc, char **argv)
{
	struct rlimit limit = { 1 << 29, 1 << 29 };
	struct arena arena;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	if (argc > 1)
		return again();
	arena_start(&arena, NR, SHARED);
	memset(arena_page(&arena, 0), head_byte(0), TAIL);
	arena_end(&arena);
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	execl("/proc/self/exe", argv[0], "again", NULL);
	fail(__LINE__, "exec");
}

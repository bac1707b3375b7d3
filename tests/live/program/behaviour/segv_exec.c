/* SIGSEGV ignored: kill(2) does nothing, our faults change nothing, and exec keeps it so. */
#define _GNU_SOURCE
#include "behaviour.h"

enum { NR = 2 };

static void behave(struct arena *arena)
{
	pid_t pid;

	CHECK(signal(SIGSEGV, SIG_IGN) != SIG_ERR);
	memset(arena_page(arena, 0), 's', 100);
	CHECK(kill(getpid(), SIGSEGV) == 0);
	memset(arena_page(arena, 1), 's', 100);
	CHECK(kill(getpid(), SIGSEGV) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		memset(arena_page(arena, 0), 't', 100);
		execl("/proc/self/exe", "segv_exec", "again", NULL);
		_exit(127);
	}
	CHECK(status_of(pid) == 0);
	CHECK(signal(SIGSEGV, SIG_DFL) == SIG_IGN);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		memset(arena_page(arena, 1), 't', 100);
		kill(getpid(), SIGSEGV);
		_exit(0);
	}
	CHECK(WTERMSIG(status_of(pid)) == SIGSEGV);
	printf("ignored, then not\n");
}

int main(int argc, char **argv)
{
	struct sigaction now;

	(void)argv;
	if (argc == 1)
		return in_every_way(NR, behave);
	CHECK(sigaction(SIGSEGV, NULL, &now) == 0 && now.sa_handler == SIG_IGN);
	CHECK(kill(getpid(), SIGSEGV) == 0);
	return 0;
}

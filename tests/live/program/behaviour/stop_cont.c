/* SIGSTOP and SIGCONT, and what waitpid says of them. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <pthread.h>

enum { NR = 4 };

static struct arena *arena;
static volatile sig_atomic_t continued;

static void note(int sig)
{
	(void)sig;
	continued++;
}

static void *store(void *arg)
{
	volatile unsigned *word = (unsigned *)arena_page(arena, 1);

	(void)arg;
	for (;;)
		++*word;
	return NULL;
}

static void child(int go, int again)
{
	pthread_t thread;
	char byte;

	CHECK(signal(SIGCONT, note) != SIG_ERR);
	CHECK(pthread_create(&thread, NULL, store, NULL) == 0);
	CHECK(write(go, "r", 1) == 1);
	for (int i = 0; i < 3; i++) {
		CHECK(raise(SIGSTOP) == 0);
		memset(arena_page(arena, 2), i, 100);
		while (continued != i + 1)
			sleep_ms(1);
		CHECK(read(again, &byte, 1) == 1);
	}
	_exit(11);
}

static void behave(struct arena *given)
{
	int status, ends[2], again[2];
	siginfo_t info;
	char byte;
	pid_t pid;

	arena = given;
	CHECK(pipe(ends) == 0 && pipe(again) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		child(ends[1], again[0]);
	CHECK(read(ends[0], &byte, 1) == 1);
	for (int i = 0; i < 3; i++) {
		CHECK(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT) == 0);
		CHECK(info.si_code == CLD_STOPPED && info.si_status == SIGSTOP);
		CHECK(waitpid(pid, &status, WUNTRACED) == pid);
		printf("stopped %d by %d\n", WIFSTOPPED(status), WSTOPSIG(status));
		/* While it is stopped, we do what stops and protects others. */
		memset(arena_page(arena, 2), 'p', 100);
		CHECK(pread(arena->direct, arena_page(arena, 3) + TAIL, SECTOR, 0) == SECTOR);
		CHECK(waitpid(pid, &status, WUNTRACED | WCONTINUED | WNOHANG) == 0);
		CHECK(kill(pid, SIGCONT) == 0);
		CHECK(waitpid(pid, &status, WCONTINUED) == pid);
		printf("continued %d\n", WIFCONTINUED(status));
		CHECK(write(again[1], "a", 1) == 1);
	}
	printf("ended %d\n", WEXITSTATUS(status_of(pid)));
	close(ends[0]), close(ends[1]), close(again[0]), close(again[1]);

	/* A stopped process dies by SIGKILL. */
	pid = fork();
	if (pid == 0) {
		raise(SIGSTOP);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	CHECK(kill(pid, SIGKILL) == 0);
	printf("killed %d\n", WTERMSIG(status_of(pid)));
	CHECK(is_filled(arena_page(arena, 2), 'p', 100));
}

int main(void)
{
	return in_every_way(NR, behave);
}

/* A program that blocks, ignores or catches SIGSEGV does so after it stored to protected pages, too. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <pthread.h>

enum { NR = 12 };

static struct arena *arena;
static volatile sig_atomic_t count;

static void note(int sig)
{
	(void)sig;
	count++;
}

static bool is_blocked(void)
{
	sigset_t now;

	CHECK(pthread_sigmask(SIG_SETMASK, NULL, &now) == 0);
	return sigismember(&now, SIGSEGV);
}

static void *in_thread(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0);
	memset(arg, 't', 100);
	CHECK(is_blocked());
	return NULL;
}

static void behave(struct arena *given)
{
	static void (*const handlers[])(int) = { SIG_DFL, SIG_IGN, note };
	static const char *const names[] = { "default", "ignored", "caught" };
	struct sigaction now;
	pthread_t thread;
	sigset_t segv;
	int page = 0;

	arena = given;
	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	for (int i = 0; i < 3; i++) {
		for (int blocked = 0; blocked < 2; blocked++) {
			struct sigaction action = { .sa_handler = handlers[i],
						    .sa_flags = SA_RESTART };

			sigaddset(&action.sa_mask, SIGUSR2);
			CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
			CHECK(pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &segv, NULL) == 0);
			memset(arena_page(arena, page++), 's', 100);
			CHECK(sigaction(SIGSEGV, NULL, &now) == 0);
			CHECK(now.sa_handler == handlers[i]);
			CHECK((now.sa_flags & SA_RESTART) && sigismember(&now.sa_mask, SIGUSR2));
			printf("%s, blocked %d: blocked %d\n", names[i], blocked, is_blocked());
		}
		CHECK(pthread_create(&thread, NULL, in_thread, arena_page(arena, page++)) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
	}
	/* Blocked, caught, sent: it comes when it is unblocked. */
	count = 0;
	CHECK(pthread_sigmask(SIG_BLOCK, &segv, NULL) == 0);
	CHECK(kill(getpid(), SIGSEGV) == 0);
	memset(arena_page(arena, page++), 's', 100);
	CHECK(count == 0);
	CHECK(pthread_sigmask(SIG_UNBLOCK, &segv, NULL) == 0);
	CHECK(count == 1);
	printf("pending: %d\n", (int)count);
	CHECK(signal(SIGSEGV, SIG_DFL) != SIG_ERR);
}

int main(void)
{
	return in_every_way(NR, behave);
}

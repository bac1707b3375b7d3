/* Handlers run: on stacks that lie in framed pages, with SA_SIGINFO, out of calls and stores. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <pthread.h>
#include <setjmp.h>

enum { NR = 16, STACK = 8 };

static struct arena *arena;
static volatile sig_atomic_t count, value, on_stack;
static sigjmp_buf back;
static int ends[2];

static void note(int sig, siginfo_t *info, void *context)
{
	char *local = (char *)&local;

	(void)context;
	CHECK(sig == info->si_signo);
	count++;
	value = info->si_value.sival_int;
	on_stack = local > (char *)arena_page(arena, 0) && local < (char *)arena_page(arena, STACK);
}

static void jump(int sig)
{
	count++;
	siglongjmp(back, sig);
}

static void refill(int sig)
{
	(void)sig;
	count++;
	CHECK(write(ends[1], "late", 4) == 4);
}

static void *kicker(void *arg)
{
	sleep_ms(15);
	CHECK(pthread_kill(*(pthread_t *)arg, SIGUSR1) == 0);
	return NULL;
}

static void set(int sig, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	CHECK(sigaction(sig, &action, NULL) == 0);
}

static void behave(struct arena *given)
{
	struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t stack, old, none = { .ss_flags = SS_DISABLE };
	pthread_t self = pthread_self(), thread;
	char buffer[8];
	int sig;

	arena = given;
	/* The alternate stack is pages 0 to 7, write-protected in some ways. */
	stack = (stack_t){ .ss_sp = arena_page(arena, 0), .ss_size = STACK * PAGE };
	CHECK(sigaltstack(&stack, NULL) == 0);
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	count = 0;
	CHECK(sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 42 }) == 0);
	printf("SA_SIGINFO on the alternate stack: %d, value %d, on it %d\n", (int)count, (int)value,
	       (int)on_stack);
	CHECK(sigaltstack(NULL, &old) == 0);
	CHECK(old.ss_sp == stack.ss_sp && old.ss_size == stack.ss_size && !old.ss_flags);

	/* Another fork makes it write-protected anew, if it still can be. */
	if (arena->context) {
		pid_t pid = fork();

		if (pid == 0) {
			CHECK(raise(SIGUSR1) == 0 && count == 2 && on_stack);
			_exit(0);
		}
		CHECK(raise(SIGUSR1) == 0 && count == 2 && on_stack);
		CHECK(status_of(pid) == 0);
	}
	CHECK(sigaltstack(&none, NULL) == 0);

	/* Out of a blocked read: restarted, or not. */
	CHECK(pipe(ends) == 0);
	count = 0;
	set(SIGUSR1, refill, SA_RESTART);
	CHECK(pthread_create(&thread, NULL, kicker, &self) == 0);
	CHECK(read(ends[0], arena_page(arena, 9), 8) == 4 && count == 1);
	CHECK(!memcmp(arena_page(arena, 9), "late", 4));
	CHECK(pthread_join(thread, NULL) == 0);
	set(SIGUSR1, refill, 0);
	CHECK(pthread_create(&thread, NULL, kicker, &self) == 0);
	CHECK(read(ends[0], arena_page(arena, 10), 8) == -1 && errno == EINTR && count == 2);
	CHECK(*arena_page(arena, 10) == head_byte(10));
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(read(ends[0], buffer, 8) == 4);
	printf("read: restarted, interrupted\n");

	/* By siglongjmp out of a handler, in a call and in a loop of stores. */
	set(SIGUSR1, jump, 0);
	CHECK(pthread_create(&thread, NULL, kicker, &self) == 0);
	sig = sigsetjmp(back, 1);
	if (!sig) {
		read(ends[0], arena_page(arena, 11), 8);
		fail(__LINE__, "read returns");
	}
	CHECK(sig == SIGUSR1);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(pthread_create(&thread, NULL, kicker, &self) == 0);
	sig = sigsetjmp(back, 1);
	while (!sig)
		for (int i = 0; i < TAIL; i++)
			((volatile unsigned char *)arena_page(arena, 12))[i]++;
	CHECK(pthread_join(thread, NULL) == 0);
	printf("siglongjmp: %d signals\n", (int)count);
	close(ends[0]), close(ends[1]);
	set(SIGUSR1, SIG_DFL, 0);
	CHECK(arena_is_intact(arena, 13));
}

int main(void)
{
	return in_every_way(NR, behave);
}

/* nanosleep says what is left, into a page that may be write-protected; it is neither more nor less. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <pthread.h>

enum { NR = 4 };

static struct arena *arena;

static void nothing(int sig)
{
	(void)sig;
}

static void *kicker(void *arg)
{
	sleep_ms(50);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0)
			_exit(0);
		CHECK(status_of(pid) == 0);
	}
	sleep_ms(50);
	CHECK(pthread_kill(*(pthread_t *)arg, SIGUSR1) == 0);
	return NULL;
}

static void behave(struct arena *given)
{
	struct sigaction handler = { .sa_handler = nothing };
	struct timespec asked = { 2, 0 }, *left;
	pthread_t self = pthread_self(), thread;
	long before, took, rest;

	arena = given;
	CHECK(sigaction(SIGUSR1, &handler, NULL) == 0);
	for (int i = 0; i < 2; i++) {
		left = (struct timespec *)(arena_page(arena, 1 + i) + 128);
		CHECK(pthread_create(&thread, NULL, kicker, &self) == 0);
		before = now_ms();
		if (i == 0)
			CHECK(nanosleep(&asked, left) < 0 && errno == EINTR);
		else
			CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &asked, left) == EINTR);
		took = now_ms() - before;
		CHECK(pthread_join(thread, NULL) == 0);
		rest = left->tv_sec * 1000 + left->tv_nsec / 1000000;
		CHECK(took >= 100 && took < 1900);
		CHECK(rest + took >= 1980 && rest + took <= 2050);
		printf("%d: what is left and what has passed make two seconds\n", i);
	}
}

int main(void)
{
	return in_every_way(NR, behave);
}

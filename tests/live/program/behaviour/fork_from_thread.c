/* Threads store to framed pages while another forks: no store is lost, no child sees a later one. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { NR = 4, STORERS = 3, FORKS = 12 };

static struct arena *arena;
static atomic_bool stop;

static void *store(void *arg)
{
	int which = (int)(intptr_t)arg;
	_Atomic unsigned *word = (_Atomic unsigned *)arena_page(arena, which);
	unsigned value = 0;

	atomic_store(word, 0);
	while (!atomic_load(&stop)) {
		CHECK(atomic_load(word) == value);
		atomic_store(word, ++value);
		/* Two places that go together, the second never ahead. */
		atomic_store(word + 100, value);
	}
	CHECK(atomic_load(word) == value && value > 0);
	return NULL;
}

static void *forker(void *arg)
{
	(void)arg;
	for (int i = 0; i < FORKS; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			for (int j = 0; j < STORERS; j++) {
				_Atomic unsigned *word = (_Atomic unsigned *)arena_page(arena, j);
				unsigned before = atomic_load(word), second = atomic_load(word + 100);

				CHECK(before - second <= 1 || before == 0 || second == 0x41414141u + 0x01010101u * (unsigned)j);
				sched_yield();
				CHECK(atomic_load(word) == before);
				atomic_store(word, 0xffffffff);
			}
			CHECK(is_filled(arena_page(arena, 3), head_byte(3), TAIL));
			memset(arena_page(arena, 3), 'n', TAIL);
			_exit(0);
		}
		CHECK(status_of(pid) == 0);
	}
	return NULL;
}

static void behave(struct arena *given)
{
	pthread_t threads[STORERS], thread;

	arena = given;
	atomic_store(&stop, false);
	for (intptr_t i = 0; i < STORERS; i++)
		CHECK(pthread_create(&threads[i], NULL, store, (void *)i) == 0);
	CHECK(pthread_create(&thread, NULL, forker, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	atomic_store(&stop, true);
	for (int i = 0; i < STORERS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(is_filled(arena_page(arena, 3), head_byte(3), TAIL));
	printf("no store is lost\n");
}

int main(void)
{
	return in_every_way(NR, behave);
}

/* Locks, conditions and futexes in pages that become what they become under their waiters. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { NR = 4, WAITERS = 4, ROUNDS = 200 };

struct locks {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	sem_t semaphore;
	_Atomic int word, private_word;
	int turn;
	unsigned sum;
};

static struct locks *locks;

static void *waiter(void *arg)
{
	switch ((intptr_t)arg) {
	case 0:
		/* The key of such a futex is its page, if that is shared memory. */
		while (!atomic_load(&locks->word))
			CHECK(syscall(SYS_futex, &locks->word, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ||
			      errno == EAGAIN || errno == EINTR);
		break;
	case 1:
		while (!atomic_load(&locks->private_word))
			CHECK(syscall(SYS_futex, &locks->private_word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0)
			      == 0 || errno == EAGAIN || errno == EINTR);
		break;
	case 2:
		CHECK(pthread_mutex_lock(&locks->mutex) == 0);
		while (!locks->turn)
			CHECK(pthread_cond_wait(&locks->cond, &locks->mutex) == 0);
		CHECK(pthread_mutex_unlock(&locks->mutex) == 0);
		break;
	case 3:
		CHECK(sem_wait(&locks->semaphore) == 0);
	}
	return NULL;
}

static void *adder(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(pthread_mutex_lock(&locks->mutex) == 0);
		locks->sum++;
		CHECK(pthread_mutex_unlock(&locks->mutex) == 0);
	}
	return NULL;
}

int main(void)
{
	static struct arena arena;
	pthread_t threads[WAITERS], adders[2];

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	for (int way = PLAIN; way < WAYS; way++) {
		unsigned char *pages = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		unsigned char *tail = pages + TAIL;
		int fd = open_data(O_DIRECT);

		locks = (struct locks *)(pages + 256);
		CHECK(pthread_mutex_init(&locks->mutex, NULL) == 0);
		CHECK(pthread_cond_init(&locks->cond, NULL) == 0);
		CHECK(sem_init(&locks->semaphore, 0, 0) == 0);
		for (intptr_t i = 0; i < WAITERS; i++)
			CHECK(pthread_create(&threads[i], NULL, waiter, (void *)i) == 0);
		sleep_ms(20);
		/* The arena is the three pages behind; the first goes the same way by hand. */
		if (way != PLAIN)
			CHECK(pread(fd, tail, SECTOR, 0) == SECTOR);
		arena_of(&arena, pages + PAGE, NR - 1, (enum way)way);
		if (way >= FORKED_READ)
			CHECK(pwrite(fd, tail, SECTOR, 0) == SECTOR);
		for (int i = 0; i < 2; i++)
			CHECK(pthread_create(&adders[i], NULL, adder, NULL) == 0);
		adder(NULL);
		for (int i = 0; i < 2; i++)
			CHECK(pthread_join(adders[i], NULL) == 0);
		sleep_ms(10);

		atomic_store(&locks->word, 1);
		syscall(SYS_futex, &locks->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
		CHECK(pthread_join(threads[0], NULL) == 0);
		atomic_store(&locks->private_word, 1);
		syscall(SYS_futex, &locks->private_word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
		CHECK(pthread_join(threads[1], NULL) == 0);
		CHECK(pthread_mutex_lock(&locks->mutex) == 0);
		locks->turn = 1;
		CHECK(pthread_cond_signal(&locks->cond) == 0);
		CHECK(pthread_mutex_unlock(&locks->mutex) == 0);
		CHECK(pthread_join(threads[2], NULL) == 0);
		CHECK(sem_post(&locks->semaphore) == 0);
		CHECK(pthread_join(threads[3], NULL) == 0);
		printf("%s: all woken, sum %u\n", way_name[way], locks->sum);
		arena_end(&arena);
		close(fd);
		munmap(pages, NR * PAGE);
	}
	puts("EXIT-SUCCESS");
	return 0;
}

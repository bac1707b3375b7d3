/* Waiting for io_uring: for others, for a time, until a signal comes; and what the call says then. */
#define _GNU_SOURCE
#include "behaviour.h"
#include "../../../../demos/programs/ring.h"

#include <pthread.h>
#include <sys/time.h>

enum { NR = 12 };

static struct arena *arena;
static struct ring ring;
static unsigned char *page;
static int direct;
static volatile sig_atomic_t caught;

static void read_one(int nr)
{
	ring_rw(&ring, IORING_OP_READ, direct, page + nr * PAGE, SECTOR, nr * SECTOR, nr);
}

static int reap_all(void)
{
	uint64_t data;
	int result, count = 0;

	while (ring_reap(&ring, &data, &result)) {
		CHECK(result == SECTOR && is_filled(page + data * PAGE, sector_byte((int)data), SECTOR));
		count++;
	}
	return count;
}

static void *waiter(void *arg)
{
	long count = ring_enter(&ring, 0, (unsigned)(uintptr_t)arg);

	CHECK(count == 0 && ring_ready(&ring) >= (unsigned)(uintptr_t)arg);
	return NULL;
}

static void for_others(void)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, waiter, (void *)3) == 0);
	for (int i = 0; i < 3; i++) {
		sleep_ms(2);
		read_one(i);
		CHECK(ring_enter(&ring, 1, 0) == 1);
	}
	CHECK(pthread_join(thread, NULL) == 0);
	printf("for others: %d\n", reap_all());
}

/* Forks and direct reads of others stop the one that waits; it does not notice. */
static void disturbed(void)
{
	unsigned char *mine = page + 6 * PAGE;
	pthread_t thread;

	memset(mine, 'm', 2 * PAGE);
	CHECK(pthread_create(&thread, NULL, waiter, (void *)2) == 0);
	read_one(0);
	CHECK(ring_enter(&ring, 1, 1) == 1);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0)
			_exit(is_filled(mine, 'm', PAGE) ? 0 : 1);
		CHECK(status_of(pid) == 0);
		CHECK(pread(direct, mine + PAGE, SECTOR, 0) == SECTOR);
		sleep_ms(1);
	}
	read_one(1);
	CHECK(ring_enter(&ring, 1, 0) == 1);
	CHECK(pthread_join(thread, NULL) == 0);
	printf("disturbed: %d\n", reap_all());
}

static void catches(int sig)
{
	(void)sig;
	caught++;
}

static long enter(unsigned submit, unsigned least)
{
	return syscall(SYS_io_uring_enter, ring.fd, submit, least, IORING_ENTER_GETEVENTS, NULL, 0);
}

static void until_a_signal(void)
{
	struct sigaction action = { .sa_handler = catches, .sa_flags = SA_RESTART };
	struct itimerval soon = { .it_value.tv_usec = 200000 };

	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	caught = 0;
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	show("wait for one", enter(0, 1));
	printf("caught %d\n", caught);
	read_one(2);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	show("submit one, wait for two", enter(1, 2));
	printf("caught %d\n", caught);
	show("wait for the one", ring_enter(&ring, 0, 1));
	printf("reaped %d\n", reap_all());
}

static long enter_timed(unsigned submit, unsigned least, long ms)
{
	struct __kernel_timespec ts = { .tv_nsec = ms * 1000000 };
	struct io_uring_getevents_arg arg = { .ts = (uintptr_t)&ts };

	return syscall(SYS_io_uring_enter, ring.fd, submit, least,
		       IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));
}

static void for_a_time(void)
{
	show("for a time", enter_timed(0, 1, 20));
	read_one(3);
	show("submit one, for a time", enter_timed(1, 1, 5000));
	printf("reaped %d\n", reap_all());
	read_one(4);
	show("submit one, for two, for a time", enter_timed(1, 2, 300));
	show("once more", ring_enter(&ring, 0, 1));
	printf("reaped %d\n", reap_all());
}

static void strange(void)
{
	show("nothing to submit", ring_enter(&ring, 4, 0));
	show("strange flags", syscall(SYS_io_uring_enter, ring.fd, 0, 0, 1u << 31, NULL, 0));
	show("no ring", syscall(SYS_io_uring_enter, direct, 1, 0, 0, NULL, 0));
	show("no file", syscall(SYS_io_uring_enter, 1000, 1, 0, 0, NULL, 0));
	read_one(5);
	show("more than there are", ring_enter(&ring, 4, 0));
	show("its completion", ring_enter(&ring, 0, 1));
	printf("reaped %d\n", reap_all());
}

static void behave(struct arena *given)
{
	arena = given;
	page = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(page != MAP_FAILED);
	direct = open_data(O_DIRECT);
	CHECK(ring_open(&ring, 8, 0, 0) == 0);
	for_others();
	disturbed();
	until_a_signal();
	for_a_time();
	strange();
	ring_close(&ring);
	CHECK(close(direct) == 0 && munmap(page, NR * PAGE) == 0 && arena_is_intact(arena, 0));
}

int main(void)
{
	struct arena none;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	arena_start(&none, 2, FORKED_READ);
	behave(&none);
	arena_end(&none);
	puts("EXIT-SUCCESS");
	return 0;
}

/* Waiting for the events of libaio: how many, how long, woken by what; the ring; the end. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <pthread.h>

enum { NR = 8, THREADS = 3, EACH = 10, MAGIC = (int)0xa10a10a1 };

/* Of fs/aio.c: what libaio, fio and QEMU look at. */
struct ring {
	unsigned id, nr, head, tail, magic, compat, incompat, length;
	struct io_event events[];
};

static struct arena *arena;
static aio_context_t context;
static int direct, ends[2];
static struct iocb iocbs[64];

static void submit(int nr)
{
	for (int i = 0; i < nr; i++) {
		struct iocb *one[] = { &iocbs[i] };

		iocbs[i] = (struct iocb){
			.aio_data = (uint64_t)i, .aio_lio_opcode = IOCB_CMD_PREAD,
			.aio_fildes = (uint32_t)direct, .aio_nbytes = SECTOR,
			.aio_buf = (uintptr_t)arena_page(arena, i % 4), .aio_offset = i % SECTORS * SECTOR,
		};
		CHECK(syscall(SYS_io_submit, context, 1L, one) == 1);
	}
}

/* A device takes its time: wait until so many events are there. */
static void await(unsigned count)
{
	volatile struct ring *at = (volatile struct ring *)context;

	while ((at->tail - at->head + at->nr) % at->nr < count)
		sleep_ms(1);
}

static long get(long least, long most, void *events, void *timeout)
{
	return syscall(SYS_io_getevents, context, least, most, events, timeout);
}

static void counts(void)
{
	struct timespec none = { 0, 0 }, some = { 0, 30000000 };
	struct io_event events[8] = { 0 };
	long start;

	show("none yet", get(0, 8, events, NULL));
	show("none at once", get(1, 8, events, &none));
	start = now_ms();
	show("none in time", get(1, 8, events, &some));
	CHECK(now_ms() - start >= 29);
	show("more than all", get(2, 1, events, &none));
	show("-1", get(-1, 1, events, &none));
	show("none wanted", get(0, 0, events, &none));
	show("a bad timeout", get(1, 1, events, (void *)8));
	submit(5);
	show("two of five", get(2, 2, events, NULL));
	show("three of three", get(3, 3, events + 2, NULL));
	for (int i = 0; i < 5; i++)
		CHECK(events[i].res == SECTOR && events[i].res2 == 0 &&
		      events[i].obj == (uintptr_t)&iocbs[events[i].data]);
	/* Those that came in time are given. */
	submit(2);
	await(2);
	show("two of three", get(3, 8, events, &some));
	submit(1);
	show("to nowhere", get(1, 1, (void *)8, NULL));
	show("to a constant", get(1, 1, (void *)(uintptr_t)"", NULL));
	show("it is still there", get(1, 1, events, NULL));
}

/* What a program may look at, and take out, by itself. */
static void ring(void)
{
	volatile struct ring *at = (volatile struct ring *)context;
	unsigned head = at->head;

	CHECK(at->magic == (unsigned)MAGIC && at->incompat == 0 && at->length == 32);
	printf("room for %u\n", at->nr);
	CHECK(at->head == at->tail);
	submit(3);
	await(3);
	for (unsigned i = 0; i < 3; i++)
		CHECK(at->events[(head + i) % at->nr].res == SECTOR);
	at->head = (head + 2) % at->nr;
	show("the third", get(1, 8, (struct io_event[8]){ 0 }, NULL));
	CHECK(at->head == at->tail);
}

static void full(void)
{
	struct iocb *one[] = { &iocbs[0] };
	long taken = 0;

	while (syscall(SYS_io_submit, context, 1L, one) == 1)
		taken++;
	show("full", -1);
	printf("after %s\n", taken >= 8 ? "8 at least" : "too few");
	while (taken > 0) {
		struct io_event events[64];
		long count = get(1, 64, events, NULL);

		CHECK(count > 0);
		taken -= count;
	}
}

static volatile sig_atomic_t caught;

static void count(int sig)
{
	(void)sig;
	caught++;
}

static void *kick(void *arg)
{
	pthread_t *whom = arg;

	sleep_ms(30);
	CHECK(pthread_kill(*whom, SIGUSR1) == 0);
	return NULL;
}

static long wait_kicked(long least, struct io_event *events, void *timeout)
{
	pthread_t thread, self = pthread_self();
	long result;
	int err;

	CHECK(pthread_create(&thread, NULL, kick, &self) == 0);
	result = get(least, 8, events, timeout);
	err = errno;
	CHECK(pthread_join(thread, NULL) == 0);
	errno = err;
	return result;
}

static void interrupted(void)
{
	struct sigaction handler = { .sa_handler = count, .sa_flags = SA_RESTART }, before;
	struct timespec some = { 0, 80000000 };
	struct io_event events[8];

	caught = 0;
	CHECK(sigaction(SIGUSR1, &handler, &before) == 0);
	show("kicked", wait_kicked(1, events, NULL));
	submit(1);
	await(1);
	show("kicked with one of two", wait_kicked(2, events, NULL));
	printf("caught %d\n", (int)caught);
	CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	show("kicked, ignored", wait_kicked(1, events, &some));
	CHECK(sigaction(SIGUSR1, &before, NULL) == 0);
}

static void *in_a_thread(void *arg)
{
	unsigned char *page = arena_page(arena, 4 + (int)(intptr_t)arg);
	struct iocb iocb = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)direct,
			     .aio_buf = (uintptr_t)page, .aio_nbytes = SECTOR };
	struct iocb *one[] = { &iocb };
	aio_context_t mine = 0;
	struct io_event event;

	CHECK(syscall(SYS_io_setup, 2, &mine) == 0);
	for (int i = 0; i < EACH; i++) {
		iocb.aio_offset = (i + (intptr_t)arg) * SECTOR;
		CHECK(syscall(SYS_io_submit, mine, 1L, one) == 1);
		CHECK(syscall(SYS_io_getevents, mine, 1L, 1L, &event, NULL) == 1);
		CHECK(event.res == SECTOR && event.obj == (uintptr_t)&iocb);
		CHECK(is_filled(page, sector_byte(i + (int)(intptr_t)arg), SECTOR));
	}
	CHECK(syscall(SYS_io_destroy, mine) == 0);
	return NULL;
}

static void *collect(void *arg)
{
	struct io_event event;

	CHECK(get(1, 1, &event, NULL) == 1);
	(void)arg;
	return (void *)(intptr_t)event.data;
}

/* A submission that waits for a pipe, and who fills it. */
static void *fill(void *arg)
{
	sleep_ms(30);
	CHECK(write(ends[1], "late", 4) == 4);
	return arg;
}

static void threads(void)
{
	pthread_t threads[THREADS];
	void *result;
	long sum = 0;

	for (intptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, in_a_thread, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, collect, NULL) == 0);
	submit(THREADS);
	for (int i = 0; i < THREADS; i++) {
		CHECK(pthread_join(threads[i], &result) == 0);
		sum += (intptr_t)result;
	}
	printf("each has its event: %ld\n", sum);
	CHECK(pipe(ends) == 0);
	CHECK(pthread_create(&threads[0], NULL, fill, NULL) == 0);
	{
		char text[8] = { 0 };
		struct iocb iocb = { .aio_fildes = (uint32_t)ends[0], .aio_buf = (uintptr_t)text,
				     .aio_nbytes = 8, .aio_lio_opcode = IOCB_CMD_PREAD };
		struct iocb *one[] = { &iocb };
		struct io_event event;

		show("from an empty pipe", syscall(SYS_io_submit, context, 1L, one));
		show("its event", get(1, 1, &event, NULL));
		CHECK(event.res == 4 && !memcmp(text, "late", 4));
	}
	CHECK(pthread_join(threads[0], NULL) == 0);
	close(ends[0]), close(ends[1]);
}

/* A child has no context, and the end of one waits for what is in flight. */
static void family(void)
{
	struct io_event event;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(get(0, 1, &event, NULL) == -1 && errno == EINVAL);
		CHECK(syscall(SYS_io_destroy, context) == -1 && errno == EINVAL);
		_exit(6);
	}
	show("child", WEXITSTATUS(status_of(pid)));
	submit(3);
	show("destroyed in flight", syscall(SYS_io_destroy, context));
	CHECK(is_filled(arena_page(arena, 2), sector_byte(2), SECTOR));
	show("events of it", get(0, 1, &event, NULL));
}

static void behave(struct arena *given)
{
	arena = given;
	direct = open_data(O_DIRECT);
	context = 0;
	CHECK(syscall(SYS_io_setup, 8, &context) == 0);
	counts();
	ring();
	full();
	interrupted();
	threads();
	family();
	close(direct);
}

int main(void)
{
	return in_every_way(NR, behave);
}

/* IOCB_CMD_POLL: libaio's requests that wait for a file: ready at once, later, cancelled, never. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

enum { NR = 2 };

static aio_context_t context;
static struct iocb iocb;
static int ends[2];

static long polls(int fd, unsigned events)
{
	struct iocb *one[] = { &iocb };

	iocb.aio_lio_opcode = IOCB_CMD_POLL;
	iocb.aio_fildes = (uint32_t)fd;
	iocb.aio_buf = events;
	return syscall(SYS_io_submit, context, 1L, one);
}

static void event_of(const char *what, long least)
{
	struct timespec none = { 0, 0 };
	struct io_event event = { 0 };
	long count = syscall(SYS_io_getevents, context, least, 1L, &event, least ? NULL : &none);

	/* Who wakes it may tell more than was asked for: POLLRDNORM, say. */
	printf("%s: %ld of %lld\n", what, count, (long long)event.res & (POLLIN | POLLOUT | POLLPRI));
	CHECK(count < 1 || (event.obj == (uintptr_t)&iocb && event.res2 == 0));
}

static void *writes(void *arg)
{
	sleep_ms(20);
	CHECK(write(ends[1], "b", 1) == 1);
	return arg;
}

static void behave(struct arena *arena)
{
	struct io_event event;
	int told = eventfd(0, EFD_CLOEXEC);
	uint64_t count;
	pthread_t thread;
	char byte;

	context = 0, iocb = (struct iocb){ 0 };
	CHECK(syscall(SYS_io_setup, 4, &context) == 0 && pipe2(ends, O_CLOEXEC) == 0);
	show("a pipe with room", polls(ends[1], POLLOUT));
	event_of("its event", 1);
	show("an empty pipe", polls(ends[0], POLLIN));
	event_of("none yet", 0);
	CHECK(pthread_create(&thread, NULL, writes, NULL) == 0);
	event_of("once it is not", 1);
	CHECK(pthread_join(thread, NULL) == 0 && read(ends[0], &byte, 1) == 1);
	iocb.aio_flags = IOCB_FLAG_RESFD, iocb.aio_resfd = (uint32_t)told;
	show("with an eventfd", polls(ends[0], POLLIN | POLLPRI));
	CHECK(write(ends[1], "b", 1) == 1);
	CHECK(read(told, &count, 8) == 8 && count == 1);
	event_of("which tells", 1);
	CHECK(read(ends[0], &byte, 1) == 1);
	iocb.aio_flags = 0;
	show("a file", polls(arena->direct, POLLIN));
	event_of("is ready", 1);
	show("but for", polls(arena->direct, POLLPRI));
	show("no events", polls(ends[0], 1u << 16));
	iocb.aio_nbytes = 1;
	show("with bytes", polls(ends[0], POLLIN));
	iocb.aio_nbytes = 0;
	show("no file", polls(-1, POLLIN));
	show("to be cancelled", polls(ends[0], POLLIN));
	show("cancel", syscall(SYS_io_cancel, context, &iocb, &event));
	event_of("cancelled", 1);
	show("again", syscall(SYS_io_cancel, context, &iocb, &event));
	show("closed meanwhile", polls(ends[0], POLLIN));
	CHECK(close(ends[0]) == 0 && write(ends[1], "b", 1) == 1);
	event_of("its event", 1);
	CHECK(close(ends[1]) == 0 && pipe2(ends, O_CLOEXEC) == 0);
	show("for ever", polls(ends[0], POLLPRI));
	show("io_destroy", syscall(SYS_io_destroy, context));
	/* Nobody has that end of the pipe any more, soon. */
	CHECK(close(ends[0]) == 0 && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	for (int i = 0; i < 1000 && write(ends[1], "b", 1) == 1; i++)
		sleep_ms(1);
	show("to nobody", write(ends[1], "b", 1));
	CHECK(close(ends[1]) == 0 && close(told) == 0);
	CHECK(arena_is_intact(arena, 0));
}

int main(void)
{
	int fds[2];

	in_every_way(NR, behave);
	/* And one that is never over. */
	context = 0;
	CHECK(syscall(SYS_io_setup, 1, &context) == 0 && pipe2(fds, O_CLOEXEC) == 0);
	CHECK(polls(fds[0], POLLIN) == 1);
	return 0;
}

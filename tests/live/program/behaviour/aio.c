/* libaio's system calls as they are: what is taken, what is refused, and where that is said. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <limits.h>
#include <sys/eventfd.h>

enum { NR = 8 };

static struct arena *arena;
static unsigned char *page;
static aio_context_t context;
static int direct;

static long setup(unsigned nr, aio_context_t *where)
{
	return syscall(SYS_io_setup, nr, where);
}

static long submit(long nr, struct iocb **iocbs)
{
	return syscall(SYS_io_submit, context, nr, iocbs);
}

static struct iocb request(int opcode, int fd, const void *buf, size_t nbytes, long offset)
{
	return (struct iocb){
		.aio_data = 0x1234567890, .aio_lio_opcode = (uint16_t)opcode,
		.aio_fildes = (uint32_t)fd, .aio_buf = (uintptr_t)buf,
		.aio_nbytes = nbytes, .aio_offset = offset,
	};
}

/* Submit one and say what came of it: at once, or in its event. */
static void tried(const char *what, struct iocb iocb)
{
	struct iocb *iocbs[] = { &iocb };
	struct io_event event = { 0 };
	long taken;

	iocb.aio_key = 77;
	taken = submit(1, iocbs);
	if (taken != 1) {
		printf("%s: not taken: %s\n", what, taken < 0 ? strerrorname_np(errno) : "0");
		return;
	}
	CHECK(iocb.aio_key == 0);
	CHECK(syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL) == 1);
	CHECK(event.data == iocb.aio_data && event.obj == (uintptr_t)&iocb && event.res2 == 0);
	if ((int64_t)event.res < 0)
		printf("%s: %s\n", what, strerrorname_np((int)-event.res));
	else
		printf("%s: %ld\n", what, (long)event.res);
}

static void setups(void)
{
	aio_context_t other = 0, more[3] = { 0 };

	show("no events", setup(0, &other));
	show("nowhere", setup(1, (void *)8));
	show("read-only", setup(1, (void *)(uintptr_t)"\0\0\0\0\0\0\0\0"));
	show("too many", setup(0x10000000, &other));
	show("many", setup(1 << 20, &other));
	other = 5;
	show("not zero", setup(1, &other));
	CHECK(other == 5);
	for (int i = 0; i < 3; i++) {
		show("one more", setup(1, &more[i]));
		CHECK(more[i] && more[i] != more[(i + 1) % 3]);
	}
	for (int i = 0; i < 3; i++)
		show("destroyed", syscall(SYS_io_destroy, more[i]));
	show("destroyed again", syscall(SYS_io_destroy, more[0]));
	show("destroyed none", syscall(SYS_io_destroy, 0L));
	show("events of none", syscall(SYS_io_getevents, more[0], 0L, 1L, NULL, NULL));
}

/* The forms, on a direct file and on one that is not. */
static void forms(const char *kind, int fd)
{
	struct iovec iov[] = { { page, SECTOR }, { page + PAGE, 2 * SECTOR } };
	struct iovec bad[] = { { page, SECTOR }, { page + PAGE, -SECTOR } };
	char text[40];

	printf("- %s\n", kind);
	tried("pread", request(IOCB_CMD_PREAD, fd, page, SECTOR, 3 * SECTOR));
	CHECK(is_filled(page, sector_byte(3), SECTOR));
	tried("preadv", request(IOCB_CMD_PREADV, fd, iov, 2, 4 * SECTOR));
	CHECK(is_filled(page, sector_byte(4), SECTOR));
	CHECK(is_filled(page + PAGE + SECTOR, sector_byte(6), SECTOR));
	memset(page, 'w', SECTOR);
	memset(page + PAGE, 'v', 2 * SECTOR);
	tried("pwrite", request(IOCB_CMD_PWRITE, fd, page, SECTOR, 0));
	tried("pwritev", request(IOCB_CMD_PWRITEV, fd, iov, 2, 8 * SECTOR));
	CHECK(pread(fd, page + 2 * PAGE, PAGE, 8 * SECTOR) == PAGE);
	CHECK(is_filled(page + 2 * PAGE, 'w', SECTOR));
	CHECK(is_filled(page + 2 * PAGE + SECTOR, 'v', 2 * SECTOR));
	tried("fsync", request(IOCB_CMD_FSYNC, fd, NULL, 0, 0));
	tried("fdsync", request(IOCB_CMD_FDSYNC, fd, NULL, 0, 0));
	tried("fsync with a buffer", request(IOCB_CMD_FSYNC, fd, page, 0, 0));
	tried("fsync with a length", request(IOCB_CMD_FSYNC, fd, NULL, 1, 0));
	tried("fsync at", request(IOCB_CMD_FSYNC, fd, NULL, 0, 1));
	tried("noop", request(IOCB_CMD_NOOP, fd, NULL, 0, 0));
	tried("4", request(4, fd, page, SECTOR, 0));
	tried("9", request(9, fd, page, SECTOR, 0));
	tried("65535", request(65535, fd, page, SECTOR, 0));
	for (int at = 1; at <= 256; at *= 16) {
		snprintf(text, sizeof(text), "a pointer by %d", at);
		tried(text, request(IOCB_CMD_PREAD, fd, page + at, SECTOR, 0));
		snprintf(text, sizeof(text), "a length by %d", at);
		tried(text, request(IOCB_CMD_PREAD, fd, page, (size_t)at, 0));
		snprintf(text, sizeof(text), "an offset by %d", at);
		tried(text, request(IOCB_CMD_PWRITE, fd, page, SECTOR, at));
	}
	tried("nothing", request(IOCB_CMD_PREAD, fd, page, 0, 0));
	tried("no vector", request(IOCB_CMD_PREADV, fd, iov, 0, 0));
	tried("1024 vectors nowhere", request(IOCB_CMD_PREADV, fd, NULL, 1024, 0));
	tried("1025 vectors", request(IOCB_CMD_PREADV, fd, iov, 1025, 0));
	tried("a bad vector", request(IOCB_CMD_PREADV, fd, bad, 2, 0));
	tried("a negative length", request(IOCB_CMD_PREAD, fd, page, -1UL, 0));
	tried("at -1", request(IOCB_CMD_PREAD, fd, page, SECTOR, -1));
	tried("at -512", request(IOCB_CMD_PWRITE, fd, page, SECTOR, -SECTOR));
	tried("at the last", request(IOCB_CMD_PREAD, fd, page, SECTOR, LONG_MAX - SECTOR + 1));
	tried("over the end", request(IOCB_CMD_PREAD, fd, page, PAGE, (SECTORS - 1) * SECTOR));
	tried("at the end", request(IOCB_CMD_PREAD, fd, page, PAGE, SECTORS * SECTOR));
	tried("behind the end", request(IOCB_CMD_PREAD, fd, page, PAGE, 1L << 40));
	tried("nowhere", request(IOCB_CMD_PREAD, fd, (void *)0x1000, SECTOR, 0));
	tried("from nowhere", request(IOCB_CMD_PWRITE, fd, (void *)0x1000, SECTOR, 0));
	tried("in the kernel", request(IOCB_CMD_PREAD, fd, (void *)(1UL << 63), SECTOR, 0));
}

/* Buffers that are there in part, or not to be written. */
static void buffers(const char *kind, int fd)
{
	unsigned char *at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	printf("- buffers, %s\n", kind);
	memset(at, 'p', 2 * PAGE);
	CHECK(mprotect(at + PAGE, PAGE, PROT_READ) == 0);
	tried("read into protected", request(IOCB_CMD_PREAD, fd, at + PAGE, SECTOR, 0));
	tried("read up to protected", request(IOCB_CMD_PREAD, fd, at, 2 * PAGE, 0));
	tried("write from protected", request(IOCB_CMD_PWRITE, fd, at + PAGE, SECTOR, 0));
	CHECK(is_filled(at + PAGE, 'p', PAGE));
	CHECK(munmap(at + PAGE, PAGE) == 0);
	tried("read over the edge", request(IOCB_CMD_PREAD, fd, at, 2 * PAGE, 0));
	tried("write over the edge", request(IOCB_CMD_PWRITE, fd, at, 2 * PAGE, 0));
	CHECK(munmap(at, PAGE) == 0);
}

static void fields(void)
{
	struct iocb iocb = request(IOCB_CMD_PREAD, direct, page, SECTOR, 0);
	int rw_flags[] = { RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_NOWAIT, RWF_APPEND, 1 << 20, INT_MIN };
	int event = eventfd(0, EFD_NONBLOCK), ends[2];
	uint64_t count = 0;

	iocb.aio_reserved2 = 1;
	tried("reserved", iocb);
	iocb.aio_reserved2 = 0;
	iocb.aio_flags = 0xf0;
	tried("unknown flags", iocb);
	iocb.aio_flags = 2; /* IOCB_FLAG_IOPRIO */
	for (int class = 0; class < 5; class++) {
		iocb.aio_reqprio = (int16_t)(class << 13 | 4);
		tried("priority", class == 1 ? request(IOCB_CMD_PREAD, direct, page, SECTOR, 0) : iocb);
	}
	iocb = request(IOCB_CMD_PREAD, direct, page, SECTOR, 0);
	iocb.aio_flags = IOCB_FLAG_RESFD;
	iocb.aio_resfd = (uint32_t)event;
	tried("with an eventfd", iocb);
	tried("with an eventfd", iocb);
	CHECK(read(event, &count, 8) == 8);
	printf("eventfd %lu\n", (unsigned long)count);
	iocb.aio_lio_opcode = IOCB_CMD_NOOP;
	tried("refused with an eventfd", iocb);
	show("eventfd after that", read(event, &count, 8));
	iocb.aio_lio_opcode = IOCB_CMD_PREAD;
	iocb.aio_resfd = 1000;
	tried("with no descriptor", iocb);
	iocb.aio_resfd = (uint32_t)direct;
	tried("with a file as eventfd", iocb);
	iocb.aio_flags = 0;
	for (size_t i = 0; i < sizeof(rw_flags) / sizeof(*rw_flags); i++) {
		iocb.aio_rw_flags = rw_flags[i];
		tried("rw flags", iocb);
	}
	close(event);
	tried("no file", request(IOCB_CMD_PREAD, -1, page, SECTOR, 0));
	tried("no file to sync", request(IOCB_CMD_FSYNC, 1000, NULL, 0, 0));
	for (int mode = O_RDONLY; mode <= O_WRONLY; mode++) {
		char name[40];
		int fd;

		snprintf(name, sizeof(name), "/proc/self/fd/%d", direct);
		for (int flag = 0; flag <= O_DIRECT; flag += O_DIRECT) {
			fd = open(name, mode | flag);
			tried("read by mode", request(IOCB_CMD_PREAD, fd, page, SECTOR, 0));
			tried("write by mode", request(IOCB_CMD_PWRITE, fd, page, SECTOR, 0));
			close(fd);
		}
	}
	event = open(".", O_RDONLY | O_DIRECTORY);
	tried("read a directory", request(IOCB_CMD_PREAD, event, page, SECTOR, 0));
	close(event);
	event = open(".", O_PATH);
	tried("read a path", request(IOCB_CMD_PREAD, event, page, SECTOR, 0));
	close(event);
	CHECK(pipe(ends) == 0);
	tried("write to a pipe", request(IOCB_CMD_PWRITE, ends[1], "through", 7, 99));
	tried("read from a pipe", request(IOCB_CMD_PREAD, ends[0], page, PAGE, 99));
	CHECK(!memcmp(page, "through", 7));
	tried("sync a pipe", request(IOCB_CMD_FSYNC, ends[0], NULL, 0, 0));
	close(ends[1]);
	tried("read from a closed pipe", request(IOCB_CMD_PREAD, ends[0], page, PAGE, 0));
	close(ends[0]);
	event = open("/dev/null", O_RDWR);
	tried("/dev/null", request(IOCB_CMD_PWRITE, event, page, PAGE, 0));
	tried("/dev/null", request(IOCB_CMD_PREAD, event, page, PAGE, 0));
	close(event);
}

/* How many of an array are taken. */
static void arrays(void)
{
	struct iocb good[3], bad = request(IOCB_CMD_NOOP, direct, page, SECTOR, 0);
	const struct iocb *constant = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iocb *with_bad[] = { &good[0], &good[1], &bad, &good[2] };
	struct iocb *with_none[] = { &good[0], NULL, &good[1] };
	struct iocb *with_constant[] = { &good[0], (struct iocb *)(uintptr_t)constant };
	struct io_event events[4];

	for (int i = 0; i < 3; i++)
		good[i] = request(IOCB_CMD_PREAD, direct, page + i * PAGE, SECTOR, i * SECTOR);
	show("none", submit(0, NULL));
	show("-1", submit(-1, with_bad));
	show("nowhere", submit(1, NULL));
	show("a bad one third", submit(4, with_bad));
	show("their events", syscall(SYS_io_getevents, context, 2L, 4L, events, NULL));
	show("a bad one first", submit(2, with_bad + 2));
	show("NULL second", submit(3, with_none));
	show("its event", syscall(SYS_io_getevents, context, 1L, 4L, events, NULL));
	show("NULL first", submit(2, with_none + 1));
	show("read-only second", submit(2, with_constant));
	show("its event", syscall(SYS_io_getevents, context, 1L, 4L, events, NULL));
	show("read-only first", submit(1, with_constant + 1));
	show("cancelled", syscall(SYS_io_cancel, context, &good[0], &events[0]));
	good[0].aio_key = 5;
	show("another key", syscall(SYS_io_cancel, context, &good[0], &events[0]));
	show("cancelled nowhere", syscall(SYS_io_cancel, context, NULL, &events[0]));
	show("cancelled in none", syscall(SYS_io_cancel, 0L, &good[1], &events[0]));
}

static void behave(struct arena *given)
{
	int plain;

	arena = given;
	page = arena_page(arena, 1);
	context = 0;
	setups();
	CHECK(setup(8, &context) == 0);
	direct = open_data(O_DIRECT);
	forms("direct", direct);
	close(direct);
	plain = open_data(0);
	forms("not direct", plain);
	buffers("not direct", plain);
	close(plain);
	direct = open_data(O_DIRECT);
	buffers("direct", direct);
	fields();
	arrays();
	close(direct);
	CHECK(syscall(SYS_io_destroy, context) == 0);
	CHECK(arena_is_intact(arena, 5));
}

int main(void)
{
	return in_every_way(NR, behave);
}

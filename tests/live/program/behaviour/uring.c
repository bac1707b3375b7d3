/* io_uring as it is: what is taken, what completes with which result, in which kind of ring. */
#define _GNU_SOURCE
#include "behaviour.h"
#include "../../../../demos/programs/ring.h"

#include <sys/eventfd.h>

enum { NR = 12 };

static struct arena *arena;
static unsigned char *page;
static struct ring ring;

static void tried(const char *what)
{
	int result = ring_do(&ring);

	if (result < 0)
		printf("%s: %s\n", what, strerrorname_np(-result));
	else
		printf("%s: %d\n", what, result);
}

static void reaped(const char *what, unsigned submit)
{
	uint64_t data;
	int result;

	printf("%s: entered %ld", what, ring_enter(&ring, submit, submit));
	while (ring_reap(&ring, &data, &result))
		printf(", %lu: %d", (unsigned long)data, result);
	printf("\n");
}

static void plain(const char *kind, int fd)
{
	struct iovec iov[] = { { page, SECTOR }, { page + PAGE, 2 * SECTOR } };

	printf("- %s\n", kind);
	ring_rw(&ring, IORING_OP_READ, fd, page, SECTOR, 3 * SECTOR, 1);
	tried("read");
	CHECK(is_filled(page, sector_byte(3), SECTOR));
	ring_rw(&ring, IORING_OP_READV, fd, iov, 2, 4 * SECTOR, 1);
	tried("readv");
	CHECK(is_filled(page + PAGE + SECTOR, sector_byte(6), SECTOR));
	memset(page, 'w', SECTOR);
	memset(page + PAGE, 'v', 2 * SECTOR);
	ring_rw(&ring, IORING_OP_WRITE, fd, page, SECTOR, 0, 1);
	tried("write");
	ring_rw(&ring, IORING_OP_WRITEV, fd, iov, 2, 8 * SECTOR, 1);
	tried("writev");
	CHECK(pread(fd, page + 2 * PAGE, PAGE, 8 * SECTOR) == PAGE);
	CHECK(is_filled(page + 2 * PAGE, 'w', SECTOR));
	CHECK(is_filled(page + 2 * PAGE + SECTOR, 'v', 2 * SECTOR));
	ring_rw(&ring, IORING_OP_READ, fd, page, PAGE, (SECTORS - 1) * SECTOR, 1);
	tried("read over the end");
	ring_rw(&ring, IORING_OP_READ, fd, page, PAGE, SECTORS * SECTOR, 1);
	tried("read at the end");
	CHECK(lseek(fd, SECTOR, SEEK_SET) == SECTOR);
	ring_rw(&ring, IORING_OP_READ, fd, page, SECTOR, -1, 1);
	tried("read at the position");
	CHECK(is_filled(page, sector_byte(1), SECTOR));
	ring_rw(&ring, IORING_OP_READ, fd, page + 1, SECTOR, 1, 1);
	tried("read at an odd place");
	ring_rw(&ring, IORING_OP_READ, fd, (void *)0x1000, SECTOR, 0, 1);
	tried("read to nowhere");
	ring_rw(&ring, IORING_OP_READ, fd, page, SECTOR, 0, 1)->rw_flags = 1 << 20;
	tried("read with strange flags");
	ring_rw(&ring, IORING_OP_READ, 1000, page, SECTOR, 0, 1);
	tried("read of no file");
	ring_rw(&ring, IORING_OP_NOP, -1, NULL, 0, 0, 1);
	tried("nop");
	ring_rw(&ring, 250, fd, page, SECTOR, 0, 1);
	tried("no operation");
}

static struct io_uring_sqe *fixed(int opcode, int fd, int where, size_t length, int sector, int link)
{
	static uint64_t data;
	struct io_uring_sqe *sqe =
		ring_rw(&ring, opcode, fd, page + where, length, sector * SECTOR, ++data % 10);

	sqe->flags = (unsigned char)link;
	return sqe;
}

static void registered(const char *kind, int fd)
{
	struct iovec iov[] = { { page + SECTOR, 2 * PAGE }, { page + 4 * PAGE, PAGE }, { NULL, 0 } };
	struct iovec bad[] = { { page, PAGE }, { (void *)0x1000, PAGE } };
	struct io_uring_sqe *sqe;
	int ends[2];

	printf("- registered, %s\n", kind);
	show("unregister nothing", ring_register(&ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
	show("register nowhere", ring_register(&ring, IORING_REGISTER_BUFFERS, NULL, 1));
	show("register a bad one", ring_register(&ring, IORING_REGISTER_BUFFERS, bad, 2));
	show("register none", ring_register(&ring, IORING_REGISTER_BUFFERS, iov, 0));
	show("register", ring_register(&ring, IORING_REGISTER_BUFFERS, iov, 3));
	show("register again", ring_register(&ring, IORING_REGISTER_BUFFERS, iov, 3));
	fixed(IORING_OP_READ_FIXED, fd, SECTOR, PAGE, 30, 0);
	tried("read");
	CHECK(is_filled(page + PAGE, sector_byte(37), SECTOR));
	memset(page + 4 * PAGE, 'W', PAGE);
	fixed(IORING_OP_WRITE_FIXED, fd, 4 * PAGE, SECTOR, 20, 0)->buf_index = 1;
	tried("write");
	CHECK(pread(fd, page + 3 * PAGE, SECTOR, 20 * SECTOR) == SECTOR);
	CHECK(is_filled(page + 3 * PAGE, 'W', SECTOR));
	fixed(IORING_OP_READ_FIXED, fd, 0, SECTOR, 2, 0);
	tried("read before it");
	fixed(IORING_OP_READ_FIXED, fd, 2 * PAGE, PAGE, 2, 0);
	tried("read over its end");
	fixed(IORING_OP_READ_FIXED, fd, 0, SECTOR, 2, 0)->buf_index = 2;
	tried("read into nothing");
	fixed(IORING_OP_READ_FIXED, fd, 0, SECTOR, 2, 0)->buf_index = 3;
	tried("read into no buffer");
	CHECK(pipe(ends) == 0 && write(ends[1], "through", 7) == 7);
	fixed(IORING_OP_READ_FIXED, ends[0], PAGE, 7, 0, 0);
	tried("read a pipe");
	CHECK(!memcmp(page + PAGE, "through", 7));
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);

	printf("- linked, %s\n", kind);
	memset(page + 4 * PAGE, 'L', SECTOR);
	fixed(IORING_OP_WRITE_FIXED, fd, 4 * PAGE, SECTOR, 21, IOSQE_IO_LINK)->buf_index = 1;
	sqe = ring_rw(&ring, IORING_OP_FSYNC, fd, NULL, 0, 0, 77);
	sqe->flags = IOSQE_IO_LINK;
	fixed(IORING_OP_READ_FIXED, fd, SECTOR, SECTOR, 21, 0);
	fixed(IORING_OP_READ_FIXED, fd, 4 * PAGE + SECTOR, SECTOR, 3, 0)->buf_index = 1;
	printf("entered %ld\n", ring_enter(&ring, 4, 4));
	CHECK(ring_ready(&ring) == 4 && is_filled(page + SECTOR, 'L', SECTOR));
	for (uint64_t data; ring_ready(&ring);) {
		int result;

		CHECK(ring_reap(&ring, &data, &result) && result == (data == 77 ? 0 : SECTOR));
	}
	fixed(IORING_OP_READ_FIXED, fd, SECTOR, PAGE, SECTORS - 1, IOSQE_IO_LINK);
	fixed(IORING_OP_WRITE_FIXED, fd, SECTOR, SECTOR, 5, IOSQE_IO_LINK);
	fixed(IORING_OP_NOP, fd, 0, 0, 0, 0);
	reaped("short", 3);
	fixed(IORING_OP_READ_FIXED, fd, SECTOR, PAGE, SECTORS - 1, IOSQE_IO_HARDLINK);
	fixed(IORING_OP_READ_FIXED, fd, SECTOR, SECTOR, 5, 0);
	reaped("short, and hard", 2);
	CHECK(is_filled(page + SECTOR, sector_byte(5), SECTOR));
	fixed(IORING_OP_READ_FIXED, fd, SECTOR, SECTOR, 6, IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS);
	fixed(IORING_OP_READ_FIXED, fd, 2 * SECTOR, SECTOR, 7, 0);
	printf("the first skipped: entered %ld\n", ring_enter(&ring, 2, 1));
	reaped("its completion", 0);
	show("unregister", ring_register(&ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
	fixed(IORING_OP_READ_FIXED, fd, SECTOR, SECTOR, 2, 0);
	tried("read into what was registered");
}

static void files(int direct, int other)
{
	int fds[] = { other, -1, direct }, update[] = { direct };
	struct io_uring_files_update slots = { .offset = 1, .fds = (uintptr_t)update };
	struct io_uring_rsrc_update2 more = { .offset = 0, .data = (uintptr_t)update, .nr = 1 };
	struct io_uring_sqe *sqe;

	printf("- registered files\n");
	show("register", ring_register(&ring, IORING_REGISTER_FILES, fds, 3));
	for (int i = 0; i < 2; i++) {
		for (int slot = 0; slot < 4; slot++) {
			sqe = ring_rw(&ring, IORING_OP_READ, slot, page, SECTOR, (40 + slot) * SECTOR, 1);
			sqe->flags = IOSQE_FIXED_FILE;
			tried("read");
			if (slot == 2)
				CHECK(is_filled(page, sector_byte(42), SECTOR));
		}
		show("update", ring_register(&ring, IORING_REGISTER_FILES_UPDATE, &slots, 1));
		show("update", ring_register(&ring, IORING_REGISTER_FILES_UPDATE2, &more, sizeof(more)));
	}
	show("unregister", ring_register(&ring, IORING_UNREGISTER_FILES, NULL, 0));
	ring_rw(&ring, IORING_OP_READ, 0, page, SECTOR, 0, 1)->flags = IOSQE_FIXED_FILE;
	tried("read");
}

/* More results than the queue has room for. */
static void overflow(int direct)
{
	uint64_t data;
	int result, event = eventfd(0, EFD_NONBLOCK), reads = 0, seen = 0;

	show("eventfd", ring_register(&ring, IORING_REGISTER_EVENTFD, &event, 1));
	for (int i = 0; i < 6; i++) {
		ring_rw(&ring, IORING_OP_READ, direct, page + i * SECTOR, SECTOR, (44 + i) * SECTOR, i);
		ring_rw(&ring, IORING_OP_NOP, -1, NULL, 0, 0, 100 + i);
		CHECK(ring_enter(&ring, 2, 0) == 2);
	}
	while (seen < 12) {
		CHECK(ring_enter(&ring, 0, 1) >= 0);
		while (ring_reap(&ring, &data, &result)) {
			seen++;
			reads += data < 6 && result == SECTOR;
		}
	}
	for (int i = 0; i < 6; i++)
		CHECK(is_filled(page + i * SECTOR, sector_byte(44 + i), SECTOR));
	printf("overflow: %d of 12, %d reads\n", seen, reads);
	CHECK(read(event, &data, 8) == 8);
	show("no eventfd", ring_register(&ring, IORING_UNREGISTER_EVENTFD, NULL, 0));
	close(event);
}

static void behave(struct arena *given)
{
	static const struct { const char *name; unsigned flags, cq_entries; } kinds[] = {
		{ "plain", 0, 0 },
		{ "wide", IORING_SETUP_SQE128 | IORING_SETUP_CQE32, 0 },
		{ "deferring", IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, 0 },
		{ "with room for 4", IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN, 4 },
	};
	int direct, other;

	arena = given;
	page = arena_page(arena, 1);
	for (size_t i = 0; i < (arena->way == FORKED_READ ? sizeof(kinds) / sizeof(*kinds) : 1); i++) {
		direct = open_data(O_DIRECT);
		other = open_data(0);
		printf("-- %s\n", kinds[i].name);
		CHECK(ring_open(&ring, 4, kinds[i].flags, kinds[i].cq_entries) == 0);
		plain("direct", direct);
		plain("not direct", other);
		registered("direct", direct);
		registered("not direct", other);
		files(direct, other);
		overflow(direct);
		ring_close(&ring);
		CHECK(close(direct) == 0 && close(other) == 0);
	}
	CHECK(arena_is_intact(arena, 7));
}

int main(void)
{
	return in_every_way(NR, behave);
}

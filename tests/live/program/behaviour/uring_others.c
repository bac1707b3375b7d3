/* What io_uring does that is no direct I/O, into pages that devices had to do with. */
#define _GNU_SOURCE
#include "behaviour.h"
#include "../../../../demos/programs/ring.h"

#include <sys/socket.h>

enum { NR = 8 };

static struct arena *arena;
static struct ring ring;

static unsigned char *at(int page)
{
	return arena_page(arena, page);
}

static void done(const char *what)
{
	uint64_t data;
	int result;

	CHECK(ring_enter(&ring, 0, 1) == 0 && ring_reap(&ring, &data, &result));
	printf("%s: %d\n", what, result);
}

/* Into pages that may be write-protected. */
static void into_memory(int file)
{
	struct io_uring_sqe *sqe;
	int ends[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	ring_rw(&ring, IORING_OP_READ, file, at(1), 100, SECTOR, 0);
	CHECK(ring_enter(&ring, 1, 0) == 1);
	done("read");
	CHECK(is_filled(at(1), sector_byte(1), 100));
	/* It waits until there is something. */
	ring_rw(&ring, IORING_OP_RECV, ends[1], at(2), 50, 0, 0);
	CHECK(ring_enter(&ring, 1, 0) == 1);
	CHECK(write(ends[0], "hello", 5) == 5);
	done("recv");
	CHECK(!memcmp(at(2), "hello", 5));
	sqe = ring_rw(&ring, IORING_OP_STATX, AT_FDCWD, "/", 0x7ff, 0, 0);
	sqe->off = (uintptr_t)at(3);
	CHECK(ring_enter(&ring, 1, 0) == 1);
	done("statx");
	CHECK(!is_filled(at(3), head_byte(3), 100));
	close(ends[0]);
	close(ends[1]);
}

/* A file that is opened, read and closed in one chain, and never has a descriptor. */
static void without_descriptor(int file)
{
	int slots[] = { -1, -1, -1 }, result;
	struct io_uring_sqe *sqe;
	uint64_t data;
	char name[40];

	CHECK(ring_register(&ring, IORING_REGISTER_FILES, slots, 3) == 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
	sqe = ring_rw(&ring, IORING_OP_OPENAT, AT_FDCWD, name, 0, 0, 1);
	sqe->open_flags = O_RDONLY | O_DIRECT;
	sqe->file_index = 2;
	sqe->flags = IOSQE_IO_LINK;
	sqe = ring_rw(&ring, IORING_OP_READ, 1, at(4), SECTOR, 3 * SECTOR, 2);
	sqe->flags = IOSQE_FIXED_FILE | IOSQE_IO_LINK;
	sqe = ring_rw(&ring, IORING_OP_CLOSE, 0, NULL, 0, 0, 3);
	sqe->file_index = 2;
	CHECK(ring_enter(&ring, 3, 3) == 3);
	while (ring_reap(&ring, &data, &result))
		printf("%d: %d\n", (int)data, result);
	CHECK(is_filled(at(4), sector_byte(3), SECTOR));
}

static void behave(struct arena *given)
{
	int file = open_data(0);

	arena = given;
	CHECK(ring_open(&ring, 8, 0, 0) == 0);
	into_memory(file);
	without_descriptor(file);
	ring_close(&ring);
	close(file);
	for (int page = 1; page < 5; page++)
		memset(at(page), head_byte(page), TAIL);
	CHECK(arena_is_intact(arena, 0));
}

int main(void)
{
	return in_every_way(NR, behave);
}

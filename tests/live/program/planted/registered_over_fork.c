/*
 * A buffer is registered with io_uring once and for all; later a worker is
 * forked, and what lies behind the buffer is written: all reads from then on go
 * to a page that is the worker's alone.
 *
 * Mended: the worker is told not to have that page.
 */
#define _GNU_SOURCE
#include "common.h"
#include "ring.h"

static struct {
	unsigned char buffer[SECTOR];
	volatile long reads;
} __attribute__((aligned(PAGE))) pool;

int main(void)
{
	struct iovec iov = { pool.buffer, SECTOR };
	struct file file = open_file();
	struct gate gate = make_gate();
	struct ring ring;
	pid_t worker;

	write_sectors(&file, SECTOR);
	memset(pool.buffer, FILL, SECTOR);
	if (ring_open(&ring, 1, 0, 0))
		die("io_uring_setup");
#ifdef MENDED
	if (madvise(&pool, PAGE, MADV_DONTFORK))
		die("madvise");
#endif
	if (syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &iov, 1)) /* takes */
		die("io_uring_register");
	worker = fork(); /* forks */
	if (worker == 0) {
		wait_gate(gate);
		_exit(0);
	}
	pool.reads++; /* breaks */
	ring_rw(&ring, IORING_OP_READ_FIXED, file.direct, pool.buffer, SECTOR, 0, 0);
	if (ring_do(&ring) != SECTOR)
		die("the read");
	open_gate(gate);
	wait_child(worker);
	return check_sectors("pool", pool.buffer, SECTOR, 0) ? WRONG_BYTE : ALL_RIGHT;
}

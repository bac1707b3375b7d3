/* io_uring by its system calls: a ring, and one way to ask it for things. */
#ifndef UEMU_PROGRAMS_RING_H
#define UEMU_PROGRAMS_RING_H

#include <errno.h>
#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct ring {
	int fd;
	struct io_uring_params params;
	unsigned char *rings;
	unsigned char *sqes;
	size_t size, sqes_size;
};

static inline unsigned *ring_word(struct ring *ring, unsigned offset)
{
	return (unsigned *)(void *)(ring->rings + offset);
}

static inline size_t ring_cqe_size(const struct ring *ring)
{
	return ring->params.flags & IORING_SETUP_CQE32 ? 32 : 16;
}

/* -1, and errno is set, or 0. */
__attribute__((unused))
static int ring_open(struct ring *ring, unsigned entries, unsigned flags, unsigned cq_entries)
{
	struct io_uring_params *params = &ring->params;
	size_t sq_end;

	memset(ring, 0, sizeof(*ring));
	params->flags = flags;
	params->cq_entries = cq_entries;
	ring->fd = (int)syscall(SYS_io_uring_setup, entries, params);
	if (ring->fd < 0)
		return -1;
	ring->size = params->cq_off.cqes + params->cq_entries * ring_cqe_size(ring);
	sq_end = params->sq_off.array + params->sq_entries * sizeof(unsigned);
	if (ring->size < sq_end)
		ring->size = sq_end;
	ring->sqes_size = params->sq_entries * (flags & IORING_SETUP_SQE128 ? 128 : 64);
	ring->rings = mmap(NULL, ring->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			   ring->fd, IORING_OFF_SQ_RING);
	ring->sqes = mmap(NULL, ring->sqes_size, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
	return ring->rings == MAP_FAILED || ring->sqes == MAP_FAILED ? -1 : 0;
}

__attribute__((unused))
static void ring_close(struct ring *ring)
{
	munmap(ring->rings, ring->size);
	munmap(ring->sqes, ring->sqes_size);
	close(ring->fd);
}

/* A fresh entry behind those that wait to be submitted; its user data is `data`. */
static inline struct io_uring_sqe *ring_entry(struct ring *ring, int opcode, uint64_t data)
{
	unsigned tail = *ring_word(ring, ring->params.sq_off.tail);
	unsigned slot = tail & (ring->params.sq_entries - 1);
	size_t size = ring->params.flags & IORING_SETUP_SQE128 ? 128 : 64;
	struct io_uring_sqe *sqe = (void *)(ring->sqes + slot * size);

	memset(sqe, 0, size);
	sqe->opcode = (unsigned char)opcode;
	sqe->user_data = data;
	if (ring->params.sq_off.array)
		ring_word(ring, ring->params.sq_off.array)[slot] = slot;
	__atomic_store_n(ring_word(ring, ring->params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	return sqe;
}

/* A read or write of one piece. */
__attribute__((unused))
static struct io_uring_sqe *ring_rw(struct ring *ring, int opcode, int fd, const void *buffer,
				    size_t length, long offset, uint64_t data)
{
	struct io_uring_sqe *sqe = ring_entry(ring, opcode, data);

	sqe->fd = fd;
	sqe->addr = (uintptr_t)buffer;
	sqe->len = (unsigned)length;
	sqe->off = (uint64_t)offset;
	return sqe;
}

__attribute__((unused))
static long ring_enter(struct ring *ring, unsigned submit, unsigned least)
{
	long count;

	do
		count = syscall(SYS_io_uring_enter, ring->fd, submit, least,
				least ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
	while (count < 0 && errno == EINTR);
	return count;
}

/* How many completions there are to be reaped. */
__attribute__((unused))
static unsigned ring_ready(struct ring *ring)
{
	unsigned tail = __atomic_load_n(ring_word(ring, ring->params.cq_off.tail), __ATOMIC_ACQUIRE);

	return tail - *ring_word(ring, ring->params.cq_off.head);
}

/* Reap one: its user data and result; false: there is none. */
__attribute__((unused))
static bool ring_reap(struct ring *ring, uint64_t *data, int *result)
{
	unsigned *head = ring_word(ring, ring->params.cq_off.head);
	struct io_uring_cqe *cqe;

	if (!ring_ready(ring))
		return false;
	cqe = (void *)(ring->rings + ring->params.cq_off.cqes +
		       (*head & (ring->params.cq_entries - 1)) * ring_cqe_size(ring));
	*data = cqe->user_data;
	*result = cqe->res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return true;
}

/* Submit what there is, wait for one completion, and reap it: its result. */
__attribute__((unused))
static int ring_do(struct ring *ring)
{
	uint64_t data;
	int result;

	if (ring_enter(ring, 1, 1) != 1 || !ring_reap(ring, &data, &result))
		return -EPROTO;
	return result;
}

__attribute__((unused))
static long ring_register(struct ring *ring, unsigned opcode, const void *what, unsigned count)
{
	return syscall(SYS_io_uring_register, ring->fd, opcode, what, count);
}

#endif

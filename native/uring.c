/*
 * io_uring from outside: completions that the tracer posts to a program's rings,
 * what a ring's submission queue has in it, and which descriptors are one file.
 *
 * A ring's completion queue is the kernel's: it alone knows where the next one
 * goes, what to do when there is no room, and who waits. So the tracer has a
 * ring of its own, and sends each completion as IORING_OP_MSG_RING (Linux 5.18).
 */
#define _GNU_SOURCE
#include "uemu_native.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of linux/io_uring.h, which older headers have in part. */
#define OFF_SQES 0x10000000UL
#define ENTER_GETEVENTS 1
#define OP_MSG_RING 40
#define NR_SETUP 425
#define NR_ENTER 426
#define KCMP_FILE 0

enum { ENTRIES = 1 };

struct params {
	uint32_t sq_entries, cq_entries, flags, rest[7];
	uint32_t sq_head, sq_tail, sq_mask, sq_nr, sq_flags, sq_dropped, sq_array, sq_rest[3];
	uint32_t cq_head, cq_tail, cq_mask, cq_nr, cq_overflow, cq_cqes, cq_rest[4];
};

struct sqe {
	uint8_t opcode, flags;
	uint16_t ioprio;
	int32_t fd;
	uint64_t off, addr;
	uint32_t len, rw_flags;
	uint64_t user_data, rest[3];
};

struct cqe {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
};

static uint32_t *word(void *rings, uint32_t offset)
{
	return (uint32_t *)((char *)rings + offset);
}

/* Open the ring that completions are sent from. */
int uemu_poster_open(struct uemu_poster *poster)
{
	struct params params;
	int err;

	memset(&params, 0, sizeof(params));
	memset(poster, 0, sizeof(*poster));
	poster->fd = (int)syscall(NR_SETUP, ENTRIES, &params);
	if (poster->fd < 0)
		return -errno;
	poster->rings_size = params.cq_cqes + params.cq_entries * sizeof(struct cqe);
	if (poster->rings_size < params.sq_array + params.sq_entries * sizeof(uint32_t))
		poster->rings_size = params.sq_array + params.sq_entries * sizeof(uint32_t);
	poster->rings = mmap(NULL, poster->rings_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			     poster->fd, 0);
	poster->sqes = mmap(NULL, params.sq_entries * sizeof(struct sqe), PROT_READ | PROT_WRITE,
			    MAP_SHARED, poster->fd, OFF_SQES);
	if (poster->rings == MAP_FAILED || poster->sqes == MAP_FAILED) {
		err = -errno;
		uemu_poster_close(poster);
		return err;
	}
	poster->sq_tail = params.sq_tail;
	poster->cq_head = params.cq_head;
	poster->cqes = params.cq_cqes;
	poster->cq_mask = params.cq_entries - 1;
	*word(poster->rings, params.sq_array) = 0;
	return 0;
}

/* Give it back. */
void uemu_poster_close(struct uemu_poster *poster)
{
	if (poster->rings && poster->rings != MAP_FAILED)
		munmap(poster->rings, poster->rings_size);
	if (poster->sqes && poster->sqes != MAP_FAILED)
		munmap(poster->sqes, ENTRIES * sizeof(struct sqe));
	if (poster->fd >= 0)
		close(poster->fd);
	memset(poster, 0, sizeof(*poster));
	poster->fd = -1;
}

/* Complete a request of another ring: what that is told of it. */
int uemu_post(struct uemu_poster *poster, int ring, uint64_t user_data, int32_t res)
{
	uint32_t *tail = word(poster->rings, poster->sq_tail);
	uint32_t *head = word(poster->rings, poster->cq_head), at;
	struct sqe *sqe = poster->sqes;
	struct cqe *cqe;
	long taken;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = OP_MSG_RING;
	sqe->fd = ring;
	sqe->off = user_data;
	sqe->len = (uint32_t)res;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	do
		taken = syscall(NR_ENTER, poster->fd, 1, 1, ENTER_GETEVENTS, NULL, 0);
	while (taken < 0 && errno == EINTR);
	if (taken < 0)
		return -errno;
	at = *head;
	cqe = (struct cqe *)((char *)poster->rings + poster->cqes) + (at & poster->cq_mask);
	res = cqe->res;
	__atomic_store_n(head, at + 1, __ATOMIC_RELEASE);
	return res;
}

/* Whether two descriptors are one open file: 1, 0, or -errno. Source: kcmp(2). */
int uemu_same_file(pid_t pid, int fd, pid_t other, int other_fd)
{
	long order = syscall(SYS_kcmp, pid, other, KCMP_FILE, fd, other_fd);

	return order < 0 ? -errno : order == 0;
}

/*
 * What is not supported, as it is documented: refused, and the program goes on.
 *
 * It differs from what this machine's kernel does, so that its test compares
 * it with what is said here.
 */
#define _GNU_SOURCE
#include "behaviour.h"
#include "../../../../demos/programs/ring.h"

#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

static void shown(const char *what, long result)
{
	if (result == -1)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: done\n", what);
}

/* The child of a clone that is not refused ends. */
static long cloned(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		CHECK(status_of((pid_t)pid) == 0);
	return pid;
}

/* Trace a child, which is killed then. */
static long traced(void)
{
	pid_t pid = fork();
	long result;
	int err;

	CHECK(pid >= 0);
	if (pid == 0)
		for (;;)
			pause();
	result = ptrace(PTRACE_SEIZE, pid, NULL, NULL);
	err = errno;
	CHECK(kill(pid, SIGKILL) == 0 && WTERMSIG(status_of(pid)) == SIGKILL);
	errno = err;
	return result;
}

static long set_up(unsigned flags)
{
	struct io_uring_params params = { .flags = flags };

	return syscall(SYS_io_uring_setup, 1, &params);
}

static void completed(const char *what, int result)
{
	errno = -result;
	shown(what, result < 0 ? -1 : 0);
}

/* What io_uring is asked for in vain, and what completes with that. */
static void in_a_ring(void)
{
	unsigned char *page = aligned_alloc(PAGE, PAGE);
	int direct = open_data(O_DIRECT), fds[2];
	struct io_uring_sqe *sqe;
	struct ring ring;
	uint64_t data;
	int result;

	CHECK(page && pipe(fds) == 0 && ring_open(&ring, 8, 0, 0) == 0);
	shown("RING_FDS", ring_register(&ring, IORING_REGISTER_RING_FDS, fds, 1));
	ring_rw(&ring, IORING_OP_READ, direct, page, SECTOR, 0, 1)->flags = IOSQE_IO_LINK;
	sqe = ring_rw(&ring, IORING_OP_POLL_ADD, fds[1], NULL, 0, 0, 2);
	sqe->flags = IOSQE_IO_LINK;
	sqe->poll32_events = POLLOUT;
	ring_rw(&ring, IORING_OP_NOP, -1, NULL, 0, 0, 3);
	ring_rw(&ring, IORING_OP_READ, direct, page, SECTOR, 0, 4);
	CHECK(ring_enter(&ring, 4, 4) == 4);
	for (int refused = 0; ring_reap(&ring, &data, &result);) {
		CHECK(result >= 0 || result == (data == 1 ? -EOPNOTSUPP : -ECANCELED));
		refused += result < 0;
		if (!ring_ready(&ring))
			printf("refused: %d\n", refused);
	}
	sqe = ring_rw(&ring, IORING_OP_NOP, -1, NULL, 0, 0, 1);
	sqe->flags = IOSQE_IO_DRAIN;
	completed("DRAIN", ring_do(&ring));
	ring_rw(&ring, IORING_OP_READ, direct, page, SECTOR, 0, 1);
	completed("a read after that", ring_do(&ring));
	ring_close(&ring);
	close(direct);
	free(page);
}

/* Of pages that a device had to do with; madvise is for the same and is done. */
static void advised(void)
{
	struct arena arena;
	struct iovec pages;
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	CHECK(self >= 0);
	arena_start(&arena, 2, FLYING);
	pages = (struct iovec){ arena.pages, 2 * PAGE };
	shown("process_madvise", syscall(SYS_process_madvise, self, &pages, 1L, MADV_DONTNEED, 0L));
	shown("process_madvise, a hint", syscall(SYS_process_madvise, self, &pages, 1L, MADV_COLD, 0L));
	puts(arena_is_intact(&arena, 0) ? "it is as it was" : "it is gone");
	shown("madvise", madvise(arena.pages, 2 * PAGE, MADV_DONTNEED));
	CHECK(is_filled(arena.pages, 0, 2 * PAGE));
	arena_end(&arena);
	CHECK(munmap(arena.pages, 2 * PAGE) == 0 && close(self) == 0);
}

int main(void)
{
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	/* Each twice: it is said once. */
	for (int i = 0; i < 2; i++) {
		shown("io_uring_setup, polled", set_up(IORING_SETUP_IOPOLL));
		shown("io_uring_setup, with a thread", set_up(IORING_SETUP_SQPOLL));
		shown("io_uring_setup, of the future", set_up(1u << 30));
		shown("ptrace", traced());
		shown("CLONE_UNTRACED", cloned(CLONE_UNTRACED));
		shown("clone", cloned(0));
		advised();
	}
	in_a_ring();
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		shown("ptrace in a child", ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
		shown("io_uring_setup in a child, polled", set_up(IORING_SETUP_IOPOLL));
		_exit(0);
	}
	CHECK(status_of(pid) == 0);
	/* A program that has no privileges gains none. */
	shown("PR_SET_NO_NEW_PRIVS", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	puts("EXIT-SUCCESS");
	return 0;
}

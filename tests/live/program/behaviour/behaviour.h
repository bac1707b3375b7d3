/*
 * What the programs of this folder share: memory in an interesting state.
 *
 * Each program shows one behaviour. It prints what it sees, the same on every
 * run, and EXIT-SUCCESS at its end. What it sees is what this machine's kernel
 * gives it, traced or not.
 *
 * An arena is some pages that direct I/O had to do with. Devices transfer the
 * last sector of each page, the tail; the rest, the head, is the program's. So
 * whatever a policy does to a transfer, no head may ever change.
 */
#ifndef UEMU_BEHAVIOUR_H
#define UEMU_BEHAVIOUR_H

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, SECTOR = 512, TAIL = PAGE - SECTOR, SECTORS = 64 };

#define CHECK(what)                                                          \
	do {                                                                 \
		if (!(what))                                                 \
			fail(__LINE__, #what);                               \
	} while (0)

/* Nothing is flushed twice if it is a forked child that fails. */
__attribute__((noreturn, unused))
static void fail(int line, const char *what)
{
	dprintf(1, "line %d: not so: %s (%s)\n", line, what, strerror(errno));
	_exit(1);
}

/* What a call came to: a number, or the name of its errno. */
__attribute__((unused))
static void show(const char *what, long result)
{
	if (result == -1)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, result);
}

/* ---- a file ----------------------------------------------------------------- */

/* What is all over one sector of the file. */
__attribute__((unused))
static unsigned char sector_byte(int sector)
{
	return (unsigned char)(1 + sector % 127);
}

/* A file of SECTORS sectors without a name, open for reading and writing. */
__attribute__((unused))
static int open_data(int flags)
{
	unsigned char sector[SECTOR];
	int fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600), again;

	CHECK(fd >= 0);
	for (int i = 0; i < SECTORS; i++) {
		memset(sector, sector_byte(i), SECTOR);
		CHECK(write(fd, sector, SECTOR) == SECTOR);
	}
	CHECK(fdatasync(fd) == 0);
	again = open("data", O_RDWR | flags);
	CHECK(again >= 0);
	CHECK(close(fd) == 0);
	CHECK(unlink("data") == 0);
	return again;
}

__attribute__((unused))
static bool is_filled(const unsigned char *bytes, unsigned char byte, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i] != byte)
			return false;
	return true;
}

/* ---- processes ------------------------------------------------------------------ */

__attribute__((unused))
static int status_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		CHECK(errno == EINTR);
	return status;
}

__attribute__((unused))
static void sleep_ms(long ms)
{
	struct timespec left = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&left, &left) < 0)
		CHECK(errno == EINTR);
}

__attribute__((unused))
static long now_ms(void)
{
	struct timespec now;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- an arena ------------------------------------------------------------------------ */

enum way {
	PLAIN,		/* no device has seen the pages */
	READ,		/* a direct read is over */
	FLYING,		/* an asynchronous read is in flight */
	FORKED_READ,	/* and then there was a fork: both have the pages */
	FORKED_WRITE,	/* the same with an asynchronous write */
	SHARED,		/* a direct write after the fork */
	WAYS,
};

__attribute__((unused))
static const char *const way_name[WAYS] = {
	"plain", "read", "flying", "forked read", "forked write", "shared",
};

struct arena {
	enum way way;
	unsigned char *pages;
	int nr;
	int direct;
	aio_context_t context;	/* 0: nothing is in flight */
	pid_t child;		/* 0: there is none */
	int gate;		/* closing it lets the child end */
	struct iovec tails[SECTORS];
	struct iocb iocb;
};

static unsigned char head_byte(int page)
{
	return (unsigned char)('A' + page % 26);
}

__attribute__((unused))
static unsigned char *arena_page(const struct arena *arena, int page)
{
	return arena->pages + (size_t)page * PAGE;
}

/* Whether all heads from one page on are as they were in the beginning. */
__attribute__((unused))
static bool arena_is_intact(const struct arena *arena, int from)
{
	for (int i = from; i < arena->nr; i++)
		if (!is_filled(arena_page(arena, i), head_byte(i), TAIL))
			return false;
	return true;
}

static void arena_submit(struct arena *arena, int opcode)
{
	struct iocb *iocbs[] = { &arena->iocb };

	arena->iocb = (struct iocb){
		.aio_lio_opcode = (uint16_t)opcode,
		.aio_fildes = (uint32_t)arena->direct,
		.aio_buf = (uintptr_t)arena->tails,
		.aio_nbytes = (uint64_t)arena->nr,
	};
	CHECK(syscall(SYS_io_setup, 8, &arena->context) == 0);
	CHECK(syscall(SYS_io_submit, arena->context, 1, iocbs) == 1);
}

/* A child that does nothing but look whether its heads are what they were. */
static void arena_fork(struct arena *arena)
{
	int ends[2];
	char byte;

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	arena->child = fork();
	CHECK(arena->child >= 0);
	if (arena->child == 0) {
		close(ends[1]);
		while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
			;
		CHECK(arena_is_intact(arena, 0));
		_exit(0);
	}
	close(ends[0]);
	arena->gate = ends[1];
}

/* Bring memory that the program has mapped into a state. */
__attribute__((unused))
static void arena_of(struct arena *arena, unsigned char *pages, int nr, enum way way)
{
	*arena = (struct arena){ .way = way, .nr = nr, .pages = pages, .gate = -1 };
	CHECK(nr <= SECTORS);
	arena->direct = open_data(O_DIRECT | O_CLOEXEC);
	for (int i = 0; i < nr; i++) {
		memset(arena_page(arena, i), head_byte(i), TAIL);
		arena->tails[i] = (struct iovec){ arena_page(arena, i) + TAIL, SECTOR };
	}
	if (way == PLAIN)
		return;
	CHECK(preadv(arena->direct, arena->tails, nr, 0) == nr * SECTOR);
	for (int i = 0; i < nr; i++)
		CHECK(is_filled(arena_page(arena, i) + TAIL, sector_byte(i), SECTOR));
	if (way == FLYING || way == FORKED_READ)
		arena_submit(arena, IOCB_CMD_PREADV);
	if (way == FORKED_WRITE)
		arena_submit(arena, IOCB_CMD_PWRITEV);
	if (way >= FORKED_READ)
		arena_fork(arena);
	if (way == SHARED)
		CHECK(pwritev(arena->direct, arena->tails, nr, 0) == nr * SECTOR);
}

__attribute__((unused))
static void arena_start(struct arena *arena, int nr, enum way way)
{
	unsigned char *pages = mmap(NULL, (size_t)nr * PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(pages != MAP_FAILED);
	/* No huge page: what is mapped is what a policy decides on. */
	madvise(pages, (size_t)nr * PAGE, MADV_NOHUGEPAGE);
	arena_of(arena, pages, nr, way);
}

/* Let the child end, which must be content; collect what is in flight. */
__attribute__((unused))
static void arena_end(struct arena *arena)
{
	struct io_event event;
	long count;

	if (arena->child) {
		CHECK(close(arena->gate) == 0);
		CHECK(status_of(arena->child) == 0);
	}
	if (arena->context) {
		do
			count = syscall(SYS_io_getevents, arena->context, 1, 1, &event, NULL);
		while (count < 0 && errno == EINTR);
		CHECK(count == 1);
		CHECK(event.res == arena->nr * SECTOR);
		CHECK(event.obj == (uintptr_t)&arena->iocb);
		CHECK(syscall(SYS_io_destroy, arena->context) == 0);
	}
	CHECK(close(arena->direct) == 0);
}

/* Show a behaviour with memory in each state. */
__attribute__((unused))
static int in_every_way(int nr, void (*behave)(struct arena *))
{
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	for (int way = 0; way < WAYS; way++) {
		struct arena arena;

		arena_start(&arena, nr, (enum way)way);
		printf("== %s\n", way_name[way]);
		behave(&arena);
		arena_end(&arena);
		munmap(arena.pages, (size_t)nr * PAGE);
	}
	puts("EXIT-SUCCESS");
	return 0;
}

#endif

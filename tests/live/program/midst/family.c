/*
 * A worker and its relatives, of whom somebody may be killed in the middle of
 * something; says how each ended, and fails if bytes are not what they are to be.
 *
 * usage: family fork|adopt|aio
 */
#define _GNU_SOURCE
#include "../behaviour/behaviour.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>

enum { NR = 4 };

static void ended(const char *who, int status)
{
	if (WIFSIGNALED(status))
		printf("%s: signal %d\n", who, WTERMSIG(status));
	else
		printf("%s: status %d\n", who, WEXITSTATUS(status));
}

/* A child that ends with its parent, from when this returns on. */
static pid_t sleeper(void)
{
	int ends[2];
	char byte;
	pid_t pid;

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
		close(ends[0]), close(ends[1]);
		for (;;)
			pause();
	}
	CHECK(close(ends[1]) == 0 && read(ends[0], &byte, 1) == 0 && close(ends[0]) == 0);
	return pid;
}

static unsigned char *filled(void)
{
	unsigned char *pages = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(pages != MAP_FAILED);
	madvise(pages, NR * PAGE, MADV_NOHUGEPAGE);
	memset(pages, 'p', NR * PAGE);
	return pages;
}

/* A fork while a read is in flight. */
static void forks(void)
{
	struct arena arena;
	pid_t pid;

	arena_start(&arena, NR, FLYING);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(0);
	ended("child", status_of(pid));
	CHECK(arena_is_intact(&arena, 0));
	arena_end(&arena);
}

/* Another child, which keeps what it stores once it is let go. */
static pid_t storer(unsigned char *pages, int *gate)
{
	int ends[2];
	char byte;
	pid_t pid;

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(ends[1]);
		CHECK(read(ends[0], &byte, 1) == 0);
		memset(pages, 's', PAGE);
		pid = fork();
		CHECK(pid >= 0);
		if (pid > 0)
			CHECK(status_of(pid) == 0);
		_exit(is_filled(pages, 's', PAGE) ? 0 : 3);
	}
	close(ends[0]);
	*gate = ends[1];
	return pid;
}

/* A read into pages that earlier forks shared with relatives. */
static void adopts(void)
{
	unsigned char *pages = filled();
	int direct = open_data(O_DIRECT | O_CLOEXEC), gate;
	pid_t relative = sleeper(), other = storer(pages, &gate), pid;

	CHECK(pread(direct, pages, SECTOR, 0) == SECTOR);
	for (int i = 0; i < 2; i++) {
		CHECK(is_filled(pages, sector_byte(0), SECTOR));
		CHECK(is_filled(pages + SECTOR, 'p', NR * PAGE - SECTOR));
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0)
			_exit(is_filled(pages, sector_byte(0), SECTOR) ? 0 : 3);
		CHECK(status_of(pid) == 0);
	}
	CHECK(close(gate) == 0);
	ended("other", status_of(other));
	kill(relative, SIGKILL);
	ended("relative", status_of(relative));
}

/* The same by libaio, which tells an eventfd of its end. */
static void submits(void)
{
	unsigned char *pages = filled();
	int direct = open_data(O_DIRECT | O_CLOEXEC), told = eventfd(0, EFD_CLOEXEC);
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)direct,
		.aio_buf = (uintptr_t)pages, .aio_nbytes = SECTOR,
		.aio_flags = IOCB_FLAG_RESFD, .aio_resfd = (uint32_t)told,
	};
	struct iocb *one[] = { &iocb };
	struct io_event event;
	aio_context_t context = 0;
	uint64_t count;

	CHECK(syscall(SYS_io_setup, 1, &context) == 0);
	sleeper();
	CHECK(syscall(SYS_io_submit, context, 1L, one) == 1);
	CHECK(syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL) == 1 && event.res == SECTOR);
	CHECK(read(told, &count, 8) == 8 && count == 1);
	CHECK(is_filled(pages, sector_byte(0), SECTOR));
}

int main(int argc, char **argv)
{
	pid_t worker;
	int status;

	CHECK(argc == 2);
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	worker = fork();
	CHECK(worker >= 0);
	if (worker == 0) {
		argv[1][0] == 'f' ? forks() : argv[1][1] == 'd' ? adopts() : submits();
		_exit(0);
	}
	ended("worker", status_of(worker));
	while (waitpid(-1, &status, 0) > 0)
		CHECK(WIFSIGNALED(status));
	puts("EXIT-SUCCESS");
	return 0;
}

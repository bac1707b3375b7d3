/*
 * A write is under way that began after a fork: first its owner stores to its
 * pages, then the other process. Each waits for what comes before it, and none
 * for a time to pass; see demos/programs/reverse_race.c for what is to be seen.
 */
#define _GNU_SOURCE
#include "behaviour.h"

enum { NR = 2 };

static unsigned char pages[NR * PAGE] __attribute__((aligned(PAGE)));

int main(void)
{
	aio_context_t context = 0;
	struct io_event event;
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_fildes = (uint32_t)open_data(O_DIRECT),
		.aio_buf = (uintptr_t)pages,
		.aio_nbytes = sizeof(pages),
	}, *iocbs[] = { &iocb };
	int gate[2];
	char byte;
	pid_t pid;

	memset(pages, 'I', sizeof(pages));
	CHECK(pipe(gate) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(gate[1]);
		CHECK(read(gate[0], &byte, 1) == 0);
		memset(pages, 'C', sizeof(pages));
		_exit(0);
	}
	CHECK(syscall(SYS_io_setup, 1, &context) == 0);
	CHECK(syscall(SYS_io_submit, context, 1, iocbs) == 1);
	memset(pages, 'P', sizeof(pages));
	CHECK(close(gate[1]) == 0);
	CHECK(status_of(pid) == 0);
	CHECK(syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1);
	CHECK(event.res == sizeof(pages));
	CHECK(is_filled(pages, 'P', sizeof(pages)));
	puts("EXIT-SUCCESS");
	return 0;
}

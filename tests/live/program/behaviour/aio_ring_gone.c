/* A context of libaio is known by its ring: who unmaps that has no context any more. */
#define _GNU_SOURCE
#include "behaviour.h"

int main(void)
{
	static unsigned char buffer[PAGE] __attribute__((aligned(4096)));
	struct iocb iocb = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_buf = (uintptr_t)buffer,
			     .aio_nbytes = SECTOR };
	struct iocb *iocbs[] = { &iocb };
	aio_context_t context = 0;

	iocb.aio_fildes = (uint32_t)open_data(O_DIRECT);
	CHECK(syscall(SYS_io_setup, 8, &context) == 0);
	CHECK(munmap((void *)context, PAGE) == 0);
	CHECK(syscall(SYS_io_submit, context, 1, iocbs) == -1 && errno == EINVAL);
	puts("EINVAL");
	puts("EXIT-SUCCESS");
	return 0;
}

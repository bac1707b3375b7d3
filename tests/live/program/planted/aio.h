/* One asynchronous read, by the bare system calls. */
#ifndef UEMU_PLANTED_AIO_H
#define UEMU_PLANTED_AIO_H

#include <linux/aio_abi.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "common.h"

static inline aio_context_t begin_read(int fd, void *buffer, size_t length, long offset)
{
	aio_context_t context = 0;
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)fd,
		.aio_buf = (uintptr_t)buffer,
		.aio_nbytes = length,
		.aio_offset = offset,
	};
	struct iocb *iocbs[] = { &iocb };

	if (syscall(SYS_io_setup, 1, &context))
		die("io_setup");
	if (syscall(SYS_io_submit, context, 1, iocbs) != 1)
		die("io_submit");
	return context;
}

static inline void end_read(aio_context_t context, long length)
{
	struct io_event event = { 0 };
	long count;

	do
		count = syscall(SYS_io_getevents, context, 1, 1, &event, NULL);
	while (count < 0 && errno == EINTR);
	if (count != 1 || event.res != length)
		die("io_getevents gives %ld, %lld bytes", count, (long long)event.res);
	if (syscall(SYS_io_destroy, context))
		die("io_destroy");
}

#endif

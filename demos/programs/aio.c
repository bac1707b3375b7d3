/*
 * A fork while an asynchronous read is in flight: io_submit() returns, and the
 * program goes on while the device writes its memory.
 *
 * No second thread is needed here. The pages of the read are lost one by one:
 * page 0 to a store beside the buffer, page 1 to a second read, whose buffer
 * begins in the page that the first one ends in.
 *
 *	io_submit      main           child          page 0       page 1
 *	-------------  -------------  -------------  -----------  -----------
 *	get both                                     frame A      frame B
 *	               fork                          A, shared    B, shared
 *	               store 'P'                     parent: C    B, shared
 *	               pread: get it                 parent: C    parent: D
 *	device: DMA                                  into A       into B
 *	               io_getevents                  4096 bytes, says the kernel,
 *	               looks into                    C            and D: nothing
 *	                              ends
 *
 * With whole pages (-p) store and second read have pages of their own; with
 * MADV_DONTFORK (-d) the child does not have the pages, and with posix_spawn
 * (-f spawn) there is no second set of page tables.
 */
#define _GNU_SOURCE
#include "common.h"

#include <linux/aio_abi.h>
#include <stdint.h>
#include <sys/syscall.h>

#define USAGE                                                                \
	"[-f fork|spawn|none] [-d] [-p]\n"                                   \
	"  -f  how the other process begins (fork)\n"                        \
	"  -d  MADV_DONTFORK on the buffers\n"                               \
	"  -p  buffers of whole pages, which share none"

enum { PAGES = 4 };

static aio_context_t submit_read(int fd, unsigned char *buffer, long offset)
{
	aio_context_t context = 0;
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)fd,
		.aio_buf = (uintptr_t)buffer,
		.aio_nbytes = PAGE,
		.aio_offset = offset,
	};
	struct iocb *iocbs[] = { &iocb };

	if (syscall(SYS_io_setup, 1, &context))
		die("io_setup");
	if (syscall(SYS_io_submit, context, 1, iocbs) != 1)
		die("io_submit");
	return context;
}

static void await_read(aio_context_t context)
{
	struct io_event event = { 0 };
	long count;

	do
		count = syscall(SYS_io_getevents, context, 1, 1, &event, NULL);
	while (count < 0 && errno == EINTR);
	if (count != 1)
		die("io_getevents");
	if (event.res != PAGE) {
		errno = 0;
		die("the asynchronous read gives %lld", (long long)event.res);
	}
	if (syscall(SYS_io_destroy, context))
		die("io_destroy");
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, "f:dp", USAGE);
	struct file file = open_file();
	unsigned char *pages = map_pages(PAGES * PAGE, options.dontfork);
	unsigned char *first = pages + (options.whole_pages ? 0 : SECTOR);
	unsigned char *second = first + PAGE;
	/* In the first page of the first read, or in the last page, of neither. */
	unsigned char *beside = options.whole_pages ? pages + 3 * PAGE : pages;
	struct gate gate = make_gate();
	aio_context_t context;
	long wrong;
	pid_t pid;

	write_sectors(&file, 2 * PAGE);
	context = submit_read(file.direct, first, 0);
	pid = start_child(options.child);
	if (pid == 0) {
		wait_gate(gate);
		_exit(0);
	}
	*(volatile unsigned char *)beside = 'P';
	if (pread(file.direct, second, PAGE, PAGE) != PAGE)
		die("read");
	await_read(context);
	open_gate(gate);
	wait_child(pid);

	wrong = check_sectors("asynchronous read", first, PAGE, 0);
	wrong += check_sectors("read", second, PAGE, PAGE);
	if (*beside != 'P') {
		printf("store: at %p is %02x, not what was stored\n", (void *)beside, *beside);
		wrong++;
	}
	printf("%ld of %d bytes are wrong\n", wrong, 2 * PAGE + 1);
	return wrong ? WRONG_BYTE : ALL_RIGHT;
}

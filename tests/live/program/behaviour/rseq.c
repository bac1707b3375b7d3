/* The kernel's own stores to struct rseq, where that lies beside a buffer for direct I/O. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <linux/rseq.h>
#include <sched.h>
#include <sys/rseq.h>

static int rseq(void *area, unsigned size, int flags)
{
	return (int)syscall(SYS_rseq, area, size, flags, RSEQ_SIG);
}

/* Be scheduled again and again, after which the kernel says where. */
static void yield(void)
{
	for (int i = 0; i < 200; i++)
		sched_yield();
}

static void look(const unsigned char *page)
{
	yield();
	CHECK(is_filled(page + SECTOR, sector_byte(0), SECTOR));
}

int main(void)
{
	unsigned char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);
	unsigned size = __rseq_size < 32 ? 32 : __rseq_size;
	struct iocb iocb = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_nbytes = SECTOR,
			     .aio_buf = (uintptr_t)page + 2 * SECTOR, .aio_offset = SECTOR };
	struct iocb *iocbs[] = { &iocb };
	aio_context_t context = 0;
	struct io_event event;
	int fd = open_data(O_DIRECT);
	pid_t pid;

	CHECK(page != MAP_FAILED);
	iocb.aio_fildes = (uint32_t)fd;
	/* The C library's own, if it has one, gives way. */
	if (__rseq_size)
		CHECK(rseq((char *)__builtin_thread_pointer() + __rseq_offset, size,
			   RSEQ_FLAG_UNREGISTER) == 0);
	CHECK(rseq(page, size, 0) == 0);
	CHECK(pread(fd, page + SECTOR, SECTOR, 0) == SECTOR);
	look(page);
	printf("read\n");
	fflush(stdout);
	CHECK(syscall(SYS_io_setup, 1, &context) == 0);
	for (int i = 0; i < 3; i++) {
		CHECK(syscall(SYS_io_submit, context, 1, iocbs) == 1);
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			look(page);
			page[4 * SECTOR] = 'c';
			look(page);
			_exit(page[4 * SECTOR] == 'c' ? 0 : 1);
		}
		look(page);
		page[4 * SECTOR] = 'p';
		look(page);
		CHECK(status_of(pid) == 0);
		CHECK(syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1);
		CHECK(event.res == SECTOR && page[4 * SECTOR] == 'p');
	}
	printf("forked\n");
	puts("EXIT-SUCCESS");
	return 0;
}

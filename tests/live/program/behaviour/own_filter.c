/* A thread with a seccomp filter of its own: no other can be given one, and libaio works. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>

static int ready[2], done[2];

static void *filters(void *arg)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { 1, &allow };
	char byte;

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
	CHECK(close(ready[1]) == 0);
	CHECK(read(done[0], &byte, 1) == 0);
	return arg;
}

int main(void)
{
	unsigned char buffer[SECTOR];
	int file = open_data(0);
	struct iocb iocb = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)file,
			     .aio_buf = (uintptr_t)buffer, .aio_nbytes = SECTOR, .aio_data = 7 };
	struct iocb *one[] = { &iocb };
	struct io_event event = { 0 };
	aio_context_t context = 0;
	pthread_t thread;
	char byte;

	CHECK(pipe(ready) == 0 && pipe(done) == 0);
	CHECK(pthread_create(&thread, NULL, filters, NULL) == 0);
	CHECK(read(ready[0], &byte, 1) == 0);
	show("io_setup", syscall(SYS_io_setup, 1, &context));
	show("io_submit", syscall(SYS_io_submit, context, 1L, one));
	show("io_getevents", syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL));
	CHECK(event.data == 7 && event.res == SECTOR && is_filled(buffer, sector_byte(0), SECTOR));
	show("io_destroy", syscall(SYS_io_destroy, context));
	CHECK(close(done[1]) == 0 && pthread_join(thread, NULL) == 0);
	puts("EXIT-SUCCESS");
	return 0;
}

/* io_submit and io_getevents, and everything that ends them in the middle. */
#include "hostile.h"
#include <linux/aio_abi.h>

enum { REQUESTS = 8 };
static aio_context_t context;

static void *submits(void *arg)
{
	while (!over()) {
		struct iocb iocbs[REQUESTS], *list[REQUESTS];

		memset(iocbs, 0, sizeof(iocbs));
		for (int i = 0; i < REQUESTS; i++) {
			list[i] = &iocbs[i];
			iocbs[i].aio_lio_opcode = chance(4) ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE;
			iocbs[i].aio_fildes = (unsigned)(chance(20) ? file : 99);
			iocbs[i].aio_buf = (uintptr_t)(buf + chance(PAGES) * PAGE);
			iocbs[i].aio_nbytes = chance(10) ? PAGE : 1 + chance(PAGE);
			iocbs[i].aio_offset = chance(PAGES) * PAGE;
		}
		syscall(SYS_io_submit, context, 1 + chance(REQUESTS), list);
		touch();
	}
	return arg;
}

static void *collects(void *arg)
{
	while (!over()) {
		struct io_event events[REQUESTS];
		struct timespec soon = { 0, chance(3000) * 1000 };

		syscall(SYS_io_getevents, context, chance(REQUESTS), REQUESTS, events,
			chance(5) ? &soon : NULL);
		if (chance(30) == 0) {
			syscall(SYS_io_destroy, context);
			context = 0;
			syscall(SYS_io_setup, REQUESTS, &context);
		}
	}
	return arg;
}

static void live(void)
{
	context = 0;
	syscall(SYS_io_setup, REQUESTS, &context);
	thread(submits);
	thread(collects);
	if (chance(2))
		thread(collects);
	while (!over()) {
		pid_t pid = fork_here();

		if (pid == 0) {
			touch();
			_exit(0);
		}
		touch();
		waitpid(pid, NULL, 0);
		if (chance(60) == 0)
			kill(getpid(), SIGKILL);
		if (chance(60) == 0)
			execl("/bin/true", "true", (char *)NULL);
		nap(chance(3000));
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	begin(argc, argv, 200);
	for (int i = 0; i < 3; i++)
		if (fork_here() == 0)
			live();
	reap_all();
	return 0;
}

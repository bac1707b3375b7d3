/*
 * What a fault is measured against: the barest stop and go there is.
 */
#define _GNU_SOURCE
#include "uemu_native.h"
#include "ptrace_errno.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * Measure a bare stop and go: a child that executes int3 over and over, and a
 * tracer that waits and continues it. Nanoseconds per round in *ns.
 */
int uemu_bounce(long rounds, double *ns)
{
	struct timespec start, end;
	int status, err = 0;
	pid_t pid;

	pid = (pid_t)syscall(SYS_clone, (unsigned long)SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
			_exit(1);
		for (;;)
			__asm__ volatile("int3");
	}
	if (waitpid(pid, &status, __WALL) < 0 || !WIFSTOPPED(status))
		err = -ECHILD;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (long i = 0; !err && i < rounds; i++) {
		err = ptrace_errno(PTRACE_CONT, pid, 0, 0);
		if (!err && waitpid(-1, &status, __WALL | __WNOTHREAD) < 0)
			err = -errno;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	*ns = ((double)(end.tv_sec - start.tv_sec) * 1e9 +
	       (double)(end.tv_nsec - start.tv_nsec)) / (double)rounds;
	uemu_kill(pid);
	while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	return err;
}

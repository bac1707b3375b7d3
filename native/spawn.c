/*
 * Starting a process under ptrace, in a state that one can rely on: stopped
 * before its first instruction, no signal pending that was meant for the host.
 */
#define _GNU_SOURCE
#include "uemu_native.h"
#include "ptrace_errno.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTIONS                                                              \
	(PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |      \
	 PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD)
#define PROGRAM_OPTIONS (OPTIONS | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEVFORKDONE)

#define AS_THEY_ARE (-1)

/* In the child: descriptors 0 to nfds - 1 become fds[], the rest close on exec. */
static int arrange_fds(const int *fds, int nfds)
{
	int high[8];

	/* First out of the way of the numbers they are going to have. */
	for (int i = 0; i < nfds; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, nfds);
		if (high[i] < 0)
			return -errno;
	}
	for (int i = 0; i < nfds; i++)
		if (dup2(high[i], i) < 0)
			return -errno;
#ifdef SYS_close_range
	syscall(SYS_close_range, (unsigned)nfds, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
#endif
	return 0;
}

static void child(const char *path, char *const argv[], char *const envp[],
		  const int *fds, int nfds, int autoreap, int ready, int failed)
{
	char byte;
	int err = 0;

	/* `failed` must survive arrange_fds(), which may use its number. */
	failed = fcntl(failed, F_DUPFD_CLOEXEC, nfds < 0 ? 3 : nfds);
	/* Not traced yet: go no further until the tracer has said so. */
	if (read(ready, &byte, 1) != 1)
		_exit(127);
	if (nfds == AS_THEY_ARE) {
		/* Python ignores these two; a program expects neither. */
		signal(SIGPIPE, SIG_DFL);
		signal(SIGXFSZ, SIG_DFL);
	} else {
		/* What is typed at the terminal is for the host program. */
		setsid();
		if (autoreap)
			signal(SIGCHLD, SIG_IGN);
		err = arrange_fds(fds, nfds);
	}
	if (!err) {
		execve(path, argv, envp);
		err = -errno;
	}
	if (write(failed, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

/* Wait for a ptrace event of `pid`; other stops (SIGSTOP) it gets over with. */
static int await_event(pid_t pid, int event)
{
	int status;

	for (;;) {
		while (waitpid(pid, &status, __WALL) < 0)
			if (errno != EINTR)
				return -errno;
		if (!WIFSTOPPED(status))
			return -ECHILD;
		if (status >> 16 == event)
			return 0;
		/* A stop that was asked for is not to come any more after another one. */
		if (event == PTRACE_EVENT_STOP)
			ptrace_errno(PTRACE_INTERRUPT, pid, 0, NULL);
		ptrace_errno(PTRACE_CONT, pid, 0, NULL);
	}
}

/*
 * The stop that reports an execve is inside it: rax is still to be overwritten
 * with its result. So go on to the stop on the way out. All signals are
 * blocked up to there.
 */
static int await_exec(pid_t pid, uint64_t mask)
{
	int err = await_event(pid, PTRACE_EVENT_EXEC);

	if (!err)
		err = ptrace_errno(PTRACE_INTERRUPT, pid, 0, NULL);
	if (!err)
		err = ptrace_errno(PTRACE_CONT, pid, 0, NULL);
	if (!err)
		err = await_event(pid, PTRACE_EVENT_STOP);
	return err ? err : ptrace_errno(PTRACE_SETSIGMASK, pid, sizeof(mask), &mask);
}

static int launch(const char *path, char *const argv[], char *const envp[],
		  const int *fds, int nfds, int autoreap, unsigned long options)
{
	int ready[2], failed[2], err = 0, why, status;
	uint64_t mask = 0;
	sigset_t all, old;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(failed, O_CLOEXEC) < 0) {
		err = -errno;
		close(ready[0]);
		close(ready[1]);
		return err;
	}
	/* No handler of the host program may run in the child, nor stop it early. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = (pid_t)syscall(SYS_clone, (unsigned long)SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		err = -errno;
	if (pid == 0) {
		close(ready[1]);
		close(failed[0]);
		child(path, argv, envp, fds, nfds, autoreap, ready[0], failed[1]);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	close(ready[0]);
	close(failed[1]);
	if (!err)
		err = ptrace_errno(PTRACE_SEIZE, pid, 0, (void *)options);
	if (!err && write(ready[1], "", 1) != 1)
		err = -EIO;
	close(ready[1]);
	if (!err) {
		if (nfds == AS_THEY_ARE)
			memcpy(&mask, &old, sizeof(mask));
		err = await_exec(pid, mask);
		/* It died: of what, it says itself if it can. */
		if (err == -ECHILD && read(failed[0], &why, sizeof(why)) == sizeof(why))
			err = why;
	}
	close(failed[0]);
	if (!err)
		return pid;
	if (pid > 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, &status, __WALL) >= 0 || errno == EINTR)
			if (WIFEXITED(status) || WIFSIGNALED(status))
				break;
	}
	return err;
}

/*
 * Start `path` traced by the calling thread, with descriptors 0 to nfds - 1
 * (at most 8) duplicated from fds[], in a session of its own. With autoreap it
 * ignores SIGCHLD, so that its children leave no zombies. Returns its pid,
 * stopped after execve, before its first instruction.
 */
int uemu_spawn(const char *path, char *const argv[], char *const envp[],
	       const int *fds, int nfds, int autoreap)
{
	if (nfds < 0 || nfds > 8)
		return -EINVAL;
	return launch(path, argv, envp, fds, nfds, autoreap, OPTIONS);
}

/*
 * Start a program of the user's likewise, with everything as it is here:
 * descriptors, session, signal mask. Its calls that a seccomp filter picks are
 * reported.
 */
int uemu_start(const char *path, char *const argv[], char *const envp[])
{
	return launch(path, argv, envp, NULL, AS_THEY_ARE, 0, PROGRAM_OPTIONS);
}

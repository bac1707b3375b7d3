/*
 * The tracer's hands: start a process under ptrace, wait for whatever happens
 * next, let a thread go on. One call lets a thread go *and* waits, since that
 * is what a fault costs.
 *
 * Waiting is __WALL | __WNOTHREAD: only what this very thread started or
 * traces, so that the children of the program uemu is used in are left to it.
 */
#define _GNU_SOURCE
#include "uemu_native.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RIP_OFFSET offsetof(struct user_regs_struct, rip)

#define OPTIONS                                                              \
	(PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |      \
	 PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD)

static int ptrace_errno(long request, pid_t tid, unsigned long addr, void *data)
{
	return ptrace(request, tid, (void *)addr, data) == -1 ? -errno : 0;
}

/* ---- starting ---------------------------------------------------------- */

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
	int err;

	/* `failed` must survive arrange_fds(), which may use its number. */
	failed = fcntl(failed, F_DUPFD_CLOEXEC, nfds);
	/* Not traced yet: go no further until the tracer has said so. */
	if (read(ready, &byte, 1) != 1)
		_exit(127);
	/* What is typed at the terminal is for the host program. */
	setsid();
	if (autoreap)
		signal(SIGCHLD, SIG_IGN);
	err = arrange_fds(fds, nfds);
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
		if (status >> 8 == (SIGTRAP | event << 8))
			return 0;
		ptrace_errno(PTRACE_CONT, pid, 0, NULL);
	}
}

/*
 * The stop that reports an execve is inside it: rax is still to be overwritten
 * with its result. So go on to the stop on the way out. All signals are
 * blocked up to there.
 */
static int await_exec(pid_t pid)
{
	uint64_t none = 0;
	int err = await_event(pid, PTRACE_EVENT_EXEC);

	if (!err)
		err = ptrace_errno(PTRACE_INTERRUPT, pid, 0, NULL);
	if (!err)
		err = ptrace_errno(PTRACE_CONT, pid, 0, NULL);
	if (!err)
		err = await_event(pid, PTRACE_EVENT_STOP);
	return err ? err : ptrace_errno(PTRACE_SETSIGMASK, pid, sizeof(none), &none);
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
	int ready[2], failed[2], err = 0, why, status;
	sigset_t all, old;
	pid_t pid;

	if (nfds < 0 || nfds > 8)
		return -EINVAL;
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
		err = ptrace_errno(PTRACE_SEIZE, pid, 0, (void *)OPTIONS);
	if (!err && write(ready[1], "", 1) != 1)
		err = -EIO;
	close(ready[1]);
	if (!err) {
		err = await_exec(pid);
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

/* ---- waiting ----------------------------------------------------------- */

static void classify(struct uemu_event *ev, int status)
{
	siginfo_t info;
	unsigned long msg = 0;
	long ip;

	if (WIFEXITED(status)) {
		ev->kind = UEMU_EXITED;
		ev->code = WEXITSTATUS(status);
		return;
	}
	if (WIFSIGNALED(status)) {
		ev->kind = UEMU_KILLED;
		ev->code = WTERMSIG(status);
		return;
	}
	if (status >> 16) {
		ev->kind = UEMU_EVENT;
		ev->code = status >> 16;
		ptrace_errno(PTRACE_GETEVENTMSG, ev->tid, 0, &msg);
		ev->msg = msg;
		return;
	}
	ev->kind = UEMU_SIGNAL;
	ev->code = WSTOPSIG(status);
	if (ev->code != SIGSEGV && ev->code != SIGTRAP)
		return;
	/* si_code > 0: the kernel says so, not kill(2). */
	if (ptrace_errno(PTRACE_GETSIGINFO, ev->tid, 0, &info) || info.si_code <= 0)
		return;
	if (ev->code == SIGSEGV) {
		ev->kind = UEMU_SEGV;
		ev->addr = (uint64_t)(uintptr_t)info.si_addr;
		ev->code = info.si_code;
	} else {
		ev->kind = UEMU_TRAP;
	}
	errno = 0;
	ip = ptrace(PTRACE_PEEKUSER, ev->tid, RIP_OFFSET, 0);
	ev->ip = errno ? 0 : (uint64_t)ip;
}

/*
 * Wait for the next report of any process or thread of the calling thread.
 * -ECHILD: there is none left. With nohang, UEMU_NONE if there is no report.
 */
int uemu_wait(struct uemu_event *ev, int nohang)
{
	int status;
	pid_t tid;

	*ev = (struct uemu_event){ .kind = UEMU_NONE };
	do
		tid = waitpid(-1, &status, __WALL | __WNOTHREAD | (nohang ? WNOHANG : 0));
	while (tid < 0 && errno == EINTR);
	if (tid < 0)
		return -errno;
	ev->tid = tid;
	if (tid > 0)
		classify(ev, status);
	return 0;
}

/* ---- going on ---------------------------------------------------------- */

/* Let a stopped thread go on, at `ip` unless that is 0, with signal `sig`. */
int uemu_cont(pid_t tid, uint64_t ip, int sig)
{
	int err = 0;

	if (ip)
		err = ptrace_errno(PTRACE_POKEUSER, tid, RIP_OFFSET, (void *)ip);
	if (!err)
		err = ptrace_errno(PTRACE_CONT, tid, 0, (void *)(long)sig);
	return err;
}

/* uemu_cont() and uemu_wait() in one. */
int uemu_go(pid_t tid, uint64_t ip, int sig, struct uemu_event *ev)
{
	int err = uemu_cont(tid, ip, sig);

	return err ? err : uemu_wait(ev, 0);
}

/* The one stop of a fault: make one call in the stub, go on at `ip`, wait. */
int uemu_go_call(pid_t tid, uint64_t stub_ip, struct uemu_slot *slot, uint64_t ip,
		 int64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
		 uint64_t a4, uint64_t a5, struct uemu_event *ev)
{
	slot->ip = ip;
	slot->count = 1;
	slot->calls[0] = (struct uemu_call){ nr, { a0, a1, a2, a3, a4, a5 }, 0 };
	return uemu_go(tid, stub_ip, 0, ev);
}

/*
 * Make one call in a stopped thread that has no control area yet: `gadget`
 * is the address of `syscall; int3` in it. Its registers are as before after.
 */
int uemu_syscall(pid_t tid, uint64_t gadget, int64_t nr, uint64_t a0, uint64_t a1,
		 uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, int64_t *ret)
{
	struct user_regs_struct regs, call;
	uint64_t mask, all = ~0ULL;
	int status, err;

	err = ptrace_errno(PTRACE_GETREGS, tid, 0, &regs);
	/* Signals wait, so that the next stop is ours. */
	if (!err)
		err = ptrace_errno(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask);
	if (!err)
		err = ptrace_errno(PTRACE_SETSIGMASK, tid, sizeof(all), &all);
	if (err)
		return err;
	call = regs;
	call.rip = gadget;
	call.rax = (unsigned long long)nr;
	call.orig_rax = (unsigned long long)-1;
	call.rdi = a0;
	call.rsi = a1;
	call.rdx = a2;
	call.r10 = a3;
	call.r8 = a4;
	call.r9 = a5;
	err = ptrace_errno(PTRACE_SETREGS, tid, 0, &call);
	while (!err) {
		err = uemu_cont(tid, 0, 0);
		while (!err && waitpid(tid, &status, __WALL) < 0)
			if (errno != EINTR)
				err = -errno;
		if (!err && !WIFSTOPPED(status))
			err = -ESRCH;
		/* A group stop (SIGSTOP) it gets over with. */
		if (!err && WSTOPSIG(status) == SIGTRAP && status >> 16 == 0)
			break;
	}
	if (err)
		return err;
	err = ptrace_errno(PTRACE_GETREGS, tid, 0, &call);
	if (!err)
		err = ptrace_errno(PTRACE_SETREGS, tid, 0, &regs);
	if (!err)
		err = ptrace_errno(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask);
	*ret = (int64_t)call.rax;
	return err;
}

/* ---- looking and ending -------------------------------------------------- */

int uemu_peek(pid_t tid, uint64_t addr, uint64_t *word)
{
	errno = 0;
	*word = (uint64_t)ptrace(PTRACE_PEEKDATA, tid, (void *)addr, 0);
	return -errno;
}

int uemu_poke(pid_t tid, uint64_t addr, uint64_t word)
{
	return ptrace_errno(PTRACE_POKEDATA, tid, addr, (void *)word);
}

int uemu_ip(pid_t tid, uint64_t *ip)
{
	errno = 0;
	*ip = (uint64_t)ptrace(PTRACE_PEEKUSER, tid, RIP_OFFSET, 0);
	return -errno;
}

/* Trace a stopped process no longer into its children; it still dies with the tracer. */
int uemu_alone(pid_t tid)
{
	return ptrace_errno(PTRACE_SETOPTIONS, tid, 0, (void *)PTRACE_O_EXITKILL);
}

int uemu_kill(pid_t tid)
{
	return kill(tid, SIGKILL) < 0 ? -errno : 0;
}

/* The CPU the calling thread runs on now. */
int uemu_cpu(void)
{
	int cpu = sched_getcpu();

	return cpu < 0 ? -errno : cpu;
}

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

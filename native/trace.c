/*
 * The tracer's hands: wait for whatever happens next, let a thread go on. One
 * call lets a thread go *and* waits, since that is what a fault costs.
 *
 * Waiting is __WALL | __WNOTHREAD: only what this very thread started or
 * traces, so that the children of the program uemu is used in are left to it.
 */
#define _GNU_SOURCE
#include "uemu_native.h"
#include "ptrace_errno.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RIP_OFFSET offsetof(struct user_regs_struct, rip)

/* ---- waiting ----------------------------------------------------------- */

/* A stop at a system call: which, or what it returns. */
static void classify_call(struct uemu_event *ev)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, ev->tid, sizeof(info), &info) < 0)
		return;
	ev->ip = info.instruction_pointer;
	ev->addr = info.stack_pointer;
	if (info.op == PTRACE_SYSCALL_INFO_SECCOMP) {
		ev->kind = UEMU_SECCOMP;
		ev->nr = (int64_t)info.seccomp.nr;
		for (int i = 0; i < 6; i++)
			ev->args[i] = info.seccomp.args[i];
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
		ev->kind = UEMU_RETURNS;
		ev->msg = (uint64_t)info.exit.rval;
	}
}

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
		if (ev->code == PTRACE_EVENT_STOP)
			msg = (unsigned long)WSTOPSIG(status);
		else
			ptrace_errno(PTRACE_GETEVENTMSG, ev->tid, 0, &msg);
		ev->msg = msg;
		if (ev->code == PTRACE_EVENT_SECCOMP)
			classify_call(ev);
		return;
	}
	ev->kind = UEMU_SIGNAL;
	ev->code = WSTOPSIG(status);
	if (ev->code == (SIGTRAP | 0x80))
		classify_call(ev);
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

/* The same, for at most that long; SIGCHLD is blocked meanwhile. */
static int wait_ms(struct uemu_event *ev, int timeout_ms)
{
	struct timespec timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
	sigset_t child, old;
	int err;

	/* A report that comes after the first look leaves the signal pending. */
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &child, &old);
	err = uemu_wait(ev, 1);
	if (!err && ev->kind == UEMU_NONE && sigtimedwait(&child, NULL, &timeout) > 0)
		err = uemu_wait(ev, 1);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

/* Whether a call concerns nothing that `ranges` names, and makes no process. */
static int is_harmless(const struct uemu_event *ev, const struct uemu_ranges *ranges)
{
	uint64_t start = ev->args[0] & ~4095ULL, end = ev->args[0] + ev->args[1], flags;

	if (ev->kind != UEMU_SECCOMP)
		return 0;
	switch (ev->nr) {
	case SYS_clone3:
		return !uemu_peek(ev->tid, ev->args[0], &flags) && flags & CLONE_VM;
	case SYS_madvise:
		if (ev->args[2] == MADV_DONTFORK || ev->args[2] == MADV_DOFORK ||
		    ev->args[2] == MADV_WIPEONFORK || ev->args[2] == MADV_KEEPONFORK)
			return 0;
		break;
	case SYS_munmap:
	case SYS_mprotect:
	case SYS_pkey_mprotect:
		break;
	default:
		return 0;
	}
	for (uint32_t i = 0; i < ranges->count; i++)
		if (start < ranges->end[i] && end > ranges->start[i])
			return 0;
	return 1;
}

/*
 * Wait for the next report that concerns us: calls that do not are let go on.
 * timeout_ms < 0: as long as it takes; else UEMU_NONE when it is over. No
 * ranges: any report concerns us.
 */
int uemu_next(struct uemu_event *ev, const struct uemu_ranges *ranges, int timeout_ms)
{
	for (;;) {
		int err = timeout_ms < 0 ? uemu_wait(ev, 0) : wait_ms(ev, timeout_ms);

		if (err || !ranges || !is_harmless(ev, ranges))
			return err;
		ptrace_errno(PTRACE_CONT, ev->tid, 0, NULL);
	}
}

/* 1 if a thread has something to report, which `ev` says; else 0. */
int uemu_poll(pid_t tid, struct uemu_event *ev)
{
	int status;

	*ev = (struct uemu_event){ .tid = tid, .kind = UEMU_NONE };
	if (waitpid(tid, &status, __WALL | WNOHANG) != tid)
		return 0;
	classify(ev, status);
	return 1;
}

/*
 * Ask a running thread to stop: 0, it will report that; 1, it had stopped for
 * a reason of its own, which `ev` says; -ESRCH, it is gone.
 */
int uemu_stop(pid_t tid, struct uemu_event *ev)
{
	if (uemu_poll(tid, ev))
		return 1;
	return ptrace_errno(PTRACE_INTERRUPT, tid, 0, NULL);
}

/* Whether a thread is dead and not reaped yet. */
static int is_zombie(pid_t tid)
{
	char path[32], stat[256], *end;
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	length = read(fd, stat, sizeof(stat) - 1);
	close(fd);
	stat[length > 0 ? length : 0] = 0;
	end = strrchr(stat, ')');
	return end && end[1] == ' ' && end[2] == 'Z';
}

/*
 * Wait for a report of one thread, whatever it is. -ESRCH: it is a leader that
 * was killed, whose end is reported only when those of its threads were
 * reaped; nobody does that here.
 */
int uemu_wait_for(pid_t tid, struct uemu_event *ev)
{
	static const struct timespec patience = { 0, 10 * 1000000L };
	int status, tries = 8, was_zombie = 0, err = 0;
	sigset_t child, old;
	pid_t found;

	*ev = (struct uemu_event){ .tid = tid, .kind = UEMU_NONE };
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &child, &old);
	/* A report that comes between two looks leaves the signal pending. */
	while (!(found = waitpid(tid, &status, __WALL | WNOHANG)) && !was_zombie)
		if (sigtimedwait(&child, NULL, &patience) < 0 || --tries < 0)
			was_zombie = is_zombie(tid);
	if (found < 0)
		err = -errno;
	else if (!found)
		err = -ESRCH;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		classify(ev, status);
	return err;
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
	siginfo_t info;
	int err;

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
		/* Its end is left to be reported. */
		while (!err && waitid(P_PID, tid, &info, WEXITED | WSTOPPED | WNOWAIT | __WALL) < 0)
			if (errno != EINTR)
				err = -errno;
		if (!err && info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED)
			err = -ESRCH;
		info.si_pid = 0;
		if (!err && (waitid(P_PID, tid, &info, WSTOPPED | WNOHANG | __WALL) < 0 || !info.si_pid))
			err = -ESRCH;
		/* A group stop (SIGSTOP), which has an event above its signal, it gets over with. */
		if (!err && info.si_status == SIGTRAP)
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
	/* kill(2) takes 0 and less for groups: our own, or everybody. */
	if (tid <= 0)
		return -ESRCH;
	return kill(tid, SIGKILL) < 0 ? -errno : 0;
}

/* The CPU the calling thread runs on now. */
int uemu_cpu(void)
{
	int cpu = sched_getcpu();

	return cpu < 0 ? -errno : cpu;
}

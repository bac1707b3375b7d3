/*
 * A stopped thread of a program: system calls it makes for the tracer, the
 * results of its own, how it goes on.
 *
 * What a thread was doing must not notice: registers, signal mask and the
 * siginfo of a signal on its way are as before after a call is made in it, so
 * that a call it was interrupted in is restarted by the kernel as ever.
 */
#define _GNU_SOURCE
#include "uemu_native.h"
#include "ptrace_errno.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define RAX_OFFSET offsetof(struct user_regs_struct, rax)
#define ORIG_RAX_OFFSET offsetof(struct user_regs_struct, orig_rax)

/* ---- going on ---------------------------------------------------------- */

/* Let a stopped thread go on in one of the ways of enum uemu_how. */
int uemu_resume(pid_t tid, int how, int sig)
{
	static const int requests[] = { PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP };

	if (how < 0 || how > UEMU_ONE_STEP)
		return -EINVAL;
	return ptrace_errno(requests[how], tid, 0, (void *)(long)sig);
}

/* Make a running thread stop soon: PTRACE_EVENT_STOP, unless it stops anyway. */
int uemu_interrupt(pid_t tid)
{
	return ptrace_errno(PTRACE_INTERRUPT, tid, 0, NULL);
}

/* Leave a thread in its group stop, until SIGCONT. */
int uemu_listen(pid_t tid)
{
	return ptrace_errno(PTRACE_LISTEN, tid, 0, NULL);
}

/*
 * From PTRACE_EVENT_EXEC, which is inside execve, to a stop behind it: usually
 * PTRACE_EVENT_STOP, else whatever `ev` says.
 */
int uemu_finish_exec(pid_t tid, struct uemu_event *ev)
{
	int err = uemu_interrupt(tid);

	if (!err)
		err = uemu_resume(tid, UEMU_CONT, 0);
	return err ? err : uemu_wait_for(tid, ev);
}

/* ---- calls in it --------------------------------------------------------- */

/*
 * Let a stopped thread run from `ip` to the next int3 and put everything back.
 * -ESRCH: it stopped otherwise or is gone, and `ev` says how.
 */
int uemu_inject(pid_t tid, uint64_t ip, struct uemu_event *ev)
{
	struct user_regs_struct regs, call;
	uint64_t mask, all = ~0ULL;
	siginfo_t info;
	int err, has_info;

	*ev = (struct uemu_event){ .tid = tid, .kind = UEMU_NONE };
	has_info = !ptrace_errno(PTRACE_GETSIGINFO, tid, 0, &info);
	err = ptrace_errno(PTRACE_GETREGS, tid, 0, &regs);
	/* Signals wait, so that the next stop is ours. */
	if (!err)
		err = ptrace_errno(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask);
	if (!err)
		err = ptrace_errno(PTRACE_SETSIGMASK, tid, sizeof(all), &all);
	if (err)
		return err;
	call = regs;
	call.rip = ip;
	call.orig_rax = (unsigned long long)-1;
	err = ptrace_errno(PTRACE_SETREGS, tid, 0, &call);
	while (!err) {
		err = uemu_resume(tid, UEMU_CONT, 0);
		if (!err)
			err = uemu_wait_for(tid, ev);
		/* A stop that was asked for before is over with this one. */
		if (!err && ev->kind == UEMU_EVENT && ev->code == PTRACE_EVENT_STOP)
			continue;
		break;
	}
	if (!err && ev->kind != UEMU_TRAP)
		err = -ESRCH;
	if (err && ev->kind != UEMU_SEGV)
		return err;
	if (ptrace_errno(PTRACE_SETREGS, tid, 0, &regs) ||
	    ptrace_errno(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask))
		return -ESRCH;
	if (has_info)
		ptrace_errno(PTRACE_SETSIGINFO, tid, 0, &info);
	return err;
}

/* The call that a thread is about to make is not made and returns `value`. */
int uemu_return(pid_t tid, int64_t value)
{
	int err = ptrace_errno(PTRACE_POKEUSER, tid, RAX_OFFSET, (void *)value);

	return err ? err : ptrace_errno(PTRACE_POKEUSER, tid, ORIG_RAX_OFFSET, (void *)-1L);
}

/* The call that a thread was about to make is made from its start. */
int uemu_replay(pid_t tid)
{
	struct user_regs_struct regs;
	int err = ptrace_errno(PTRACE_GETREGS, tid, 0, &regs);

	if (err)
		return err;
	regs.rip -= 2;
	regs.rax = regs.orig_rax;
	regs.orig_rax = (unsigned long long)-1;
	return ptrace_errno(PTRACE_SETREGS, tid, 0, &regs);
}

/* Whether a signal waits that the thread does not block. */
static int signal_waits(pid_t tid)
{
	struct __ptrace_peeksiginfo_args args = { 0, 0, 1 };
	siginfo_t info;
	uint64_t mask;

	if (ptrace_errno(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask))
		return 0;
	for (args.flags = 0; args.flags <= PTRACE_PEEKSIGINFO_SHARED; args.flags++)
		for (args.off = 0; ptrace(PTRACE_PEEKSIGINFO, tid, &args, &info) == 1; args.off++)
			if (info.si_signo > 0 && !(mask >> (info.si_signo - 1) & 1))
				return 1;
	return 0;
}

/*
 * A thread that was made to stop in the middle of a call, at PTRACE_EVENT_STOP:
 * epoll_wait and a few others fail with EINTR then, which no signal excuses.
 * Such a call is made again. 1 if so.
 */
int uemu_again_if_interrupted(pid_t tid)
{
	struct user_regs_struct regs;
	int err = ptrace_errno(PTRACE_GETREGS, tid, 0, &regs);

	if (err || (int64_t)regs.orig_rax < 0 || (int64_t)regs.rax != -EINTR || signal_waits(tid))
		return err;
	err = uemu_replay(tid);
	return err ? err : 1;
}

/* Let a stopped thread block a signal. */
int uemu_block(pid_t tid, int sig)
{
	uint64_t mask;
	int err = ptrace_errno(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask);

	mask |= 1ULL << (sig - 1);
	return err ? err : ptrace_errno(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask);
}

/* ---- looking --------------------------------------------------------------- */

/*
 * The call a stopped thread is in (-1: none): its number, its first argument
 * (for clone: the flags) and its stack pointer.
 */
int uemu_syscall_of(pid_t tid, int64_t *nr, uint64_t *flags, uint64_t *sp)
{
	struct user_regs_struct regs;
	int err = ptrace_errno(PTRACE_GETREGS, tid, 0, &regs);

	if (err)
		return err;
	*nr = (int64_t)regs.orig_rax;
	*flags = regs.rdi;
	*sp = regs.rsp;
	return 0;
}

/* A descriptor of our own for the open file that is `fd` in process `pid`. */
int uemu_getfd(pid_t pid, int fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), own, err;

	if (pidfd < 0)
		return -errno;
	own = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	err = own < 0 ? -errno : own;
	close(pidfd);
	return err;
}

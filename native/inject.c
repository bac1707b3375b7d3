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

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define RAX_OFFSET offsetof(struct user_regs_struct, rax)
#define ORIG_RAX_OFFSET offsetof(struct user_regs_struct, orig_rax)

/* PIDFD_THREAD of linux/pidfd.h, which older headers lack. */
#define UEMU_PIDFD_THREAD O_EXCL

/* PTRACE_GET_RSEQ_CONFIGURATION of linux/ptrace.h, and what it fills in, which older headers lack. */
#define UEMU_GET_RSEQ_CONFIGURATION 0x420f

struct rseq_configuration {
	uint64_t area;
	uint32_t size;
	uint32_t signature;
	uint32_t flags;
	uint32_t pad;
};

/*
 * Of include/linux/errno.h: what a call ends with that is made again if no handler runs, or one
 * with SA_RESTART; and one that restart_syscall(2) resumes.
 */
#define ERESTARTSYS 512
#define ERESTART_RESTARTBLOCK 516

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
 *
 * Signals wait meanwhile, so that the next stop is ours: blocked, all but
 * SIGTRAP, whose handler the kernel would forget if the int3 found it blocked.
 * It and SIGSTOP may come all the same, and are sent again.
 */
int uemu_inject(pid_t tid, uint64_t ip, struct uemu_event *ev)
{
	struct user_regs_struct regs, call;
	uint64_t mask, most = ~(1ULL << (SIGTRAP - 1));
	int err, has_info, came = 0;
	siginfo_t info;

	/*
	 * Another thread's exec may have taken its place: then it stands where
	 * nobody left it, and has not told.
	 */
	if (uemu_poll(tid, ev))
		return -ESRCH;
	has_info = !ptrace_errno(PTRACE_GETSIGINFO, tid, 0, &info);
	err = ptrace_errno(PTRACE_GETREGS, tid, 0, &regs);
	if (!err)
		err = ptrace_errno(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask);
	if (!err)
		err = ptrace_errno(PTRACE_SETSIGMASK, tid, sizeof(most), &most);
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
		if (err || ev->kind != UEMU_SIGNAL)
			break;
		came = ev->code;
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
	if (came)
		syscall(SYS_tkill, tid, came);
	return err;
}

/* The call that a thread is about to make is not made and returns `value`. */
int uemu_return(pid_t tid, int64_t value)
{
	int err = ptrace_errno(PTRACE_POKEUSER, tid, RAX_OFFSET, (void *)value);

	return err ? err : ptrace_errno(PTRACE_POKEUSER, tid, ORIG_RAX_OFFSET, (void *)-1L);
}

/* The call that a thread is about to make, or has made, has another second argument. */
int uemu_set_count(pid_t tid, uint64_t count)
{
	return ptrace_errno(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, rsi),
			    (void *)count);
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

#define BIT(sig) (1ULL << ((sig) - 1))

/* Signals that do nothing unless there is a handler. SIGCONT is none: it may follow a stop. */
#define HARMLESS (BIT(SIGCHLD) | BIT(SIGURG) | BIT(SIGWINCH))

/* Whether a signal would do nothing. */
static int is_ignored(pid_t tid, int sig)
{
	unsigned long long ignored = 0, caught = ~0ULL;
	char path[32], line[128];
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "SigIgn: %llx", &ignored) == 0)
			sscanf(line, "SigCgt: %llx", &caught);
	if (status)
		fclose(status);
	return ((ignored | (HARMLESS & ~caught)) & BIT(sig)) != 0;
}

/* Whether a signal waits that the thread neither blocks nor ignores. */
static int signal_waits(pid_t tid)
{
	struct __ptrace_peeksiginfo_args args = { 0, 0, 1 };
	siginfo_t info;
	uint64_t mask;

	if (ptrace_errno(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask))
		return 0;
	for (args.flags = 0; args.flags <= PTRACE_PEEKSIGINFO_SHARED; args.flags++)
		for (args.off = 0; ptrace(PTRACE_PEEKSIGINFO, tid, &args, &info) == 1; args.off++)
			if (info.si_signo > 0 && !(mask & BIT(info.si_signo)) &&
			    !is_ignored(tid, info.si_signo))
				return 1;
	return 0;
}

/*
 * A poll for ever would go on as restart_syscall, which does not tell that it
 * waits for ever; made again it is what it was.
 */
static int is_endless_poll(const struct user_regs_struct *regs)
{
	return (int64_t)regs->rax == -ERESTART_RESTARTBLOCK && regs->orig_rax == SYS_poll &&
	       (int32_t)regs->rdx < 0;
}

/*
 * A thread that was interrupted in the middle of a call, by PTRACE_EVENT_STOP
 * (`sig` 0), or by signal `sig` if that does nothing: only the tracer sees it then.
 * epoll_wait and a few others fail with EINTR, which no signal excuses. Such a
 * call is made again. 1 if so.
 *
 * Not modelled: it waits for as long as it was going to in the beginning.
 */
int uemu_again_if_ignored(pid_t tid, int sig)
{
	struct user_regs_struct regs;
	int err = ptrace_errno(PTRACE_GETREGS, tid, 0, &regs);

	if (err || (int64_t)regs.orig_rax < 0 ||
	    ((int64_t)regs.rax != -EINTR && !is_endless_poll(&regs)))
		return err;
	if ((sig && !is_ignored(tid, sig)) || signal_waits(tid))
		return 0;
	err = uemu_replay(tid);
	return err ? err : 1;
}

/*
 * A thread that was to make its call again is about to get signal `sig`: if that
 * does something, it comes in the middle of the call, which fails with EINTR. 1 if so.
 */
int uemu_not_again(pid_t tid, int sig)
{
	struct user_regs_struct regs;
	uint64_t text;
	int err = ptrace_errno(PTRACE_GETREGS, tid, 0, &regs);

	if (!err)
		err = uemu_peek(tid, regs.rip, &text);
	/* 0f 05: syscall. It may have gone on since. */
	if (err || (int64_t)regs.orig_rax >= 0 || (text & 0xffff) != 0x050f || is_ignored(tid, sig))
		return err;
	regs.rip += 2;
	switch (regs.rax) {
	case SYS_accept:
	case SYS_accept4:
	case SYS_recvfrom:
	case SYS_recvmsg:
		/* Whether it is made again is for SA_RESTART to say. */
		regs.orig_rax = regs.rax;
		regs.rax = (unsigned long long)-ERESTARTSYS;
		break;
	default:
		regs.rax = (unsigned long long)-EINTR;
	}
	err = ptrace_errno(PTRACE_SETREGS, tid, 0, &regs);
	return err ? err : 1;
}

/* Let a stopped thread block a signal. */
int uemu_block(pid_t tid, int sig)
{
	uint64_t mask;
	int err = ptrace_errno(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask);

	mask |= BIT(sig);
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

/*
 * The registers of a stopped thread, in DWARF's order: rax, rdx, rcx, rbx, rsi,
 * rdi, rbp, rsp, r8 to r15, rip (System V ABI for AMD64, figure 3.36).
 */
int uemu_registers(pid_t tid, uint64_t *values)
{
	struct user_regs_struct regs;
	int err = ptrace_errno(PTRACE_GETREGS, tid, 0, &regs);

	if (err)
		return err;
	memcpy(values, (uint64_t[]){
		regs.rax, regs.rdx, regs.rcx, regs.rbx, regs.rsi, regs.rdi, regs.rbp,
		regs.rsp, regs.r8, regs.r9, regs.r10, regs.r11, regs.r12, regs.r13,
		regs.r14, regs.r15, regs.rip,
	}, UEMU_NR_REGISTERS * sizeof(*values));
	return 0;
}

/* The call that a stopped thread is going to resume by restart_syscall(2); 0: none. */
int uemu_resumes(pid_t tid)
{
	struct user_regs_struct regs;

	if (ptrace_errno(PTRACE_GETREGS, tid, 0, &regs) ||
	    (int64_t)regs.rax != -ERESTART_RESTARTBLOCK ||
	    regs.orig_rax == SYS_restart_syscall || (int64_t)regs.orig_rax < 0)
		return 0;
	return (int)regs.orig_rax;
}

/*
 * Where a stopped thread has its struct rseq, as it told the kernel; area 0: it
 * has none. -EIO: before Linux 5.13 nobody can tell.
 */
int uemu_rseq(pid_t tid, uint64_t *area, uint32_t *size, uint32_t *signature)
{
	struct rseq_configuration config = { 0 };
	long got = ptrace(UEMU_GET_RSEQ_CONFIGURATION, tid, (void *)sizeof(config), &config);

	if (got < 0)
		return -errno;
	*area = config.area;
	*size = config.size;
	*signature = config.signature;
	return 0;
}

/*
 * A descriptor of our own for the open file that is `fd` in a thread. -EINVAL:
 * before Linux 6.9 only a leader can be asked.
 */
int uemu_getfd(pid_t tid, int fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, tid, UEMU_PIDFD_THREAD), own, err;

	if (pidfd < 0 && errno == EINVAL)
		pidfd = (int)syscall(SYS_pidfd_open, tid, 0);
	if (pidfd < 0)
		return -errno;
	own = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	err = own < 0 ? -errno : own;
	close(pidfd);
	return err;
}

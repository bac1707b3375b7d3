/*
 * The helper's part for programs of the user's, asked of it from C: uemu_start
 * and inject.c, and of trace.c what waits for calls and asks threads to stop.
 *
 * The program is the puppet once more. It makes a call by itself when it is let
 * go at `syscall; int3`, so that the next trap tells what the call returned.
 */
#include "driver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A page that the puppet and the driver share: where it is, and where it is here. */
#define BUFFER (AREA + UEMU_BUFFER_AT)
#define SHARED (area + UEMU_BUFFER_AT)

#define BIT(sig) (1ULL << ((sig) - 1))

/* ---- the program ----------------------------------------------------------- */

static int start(const char *path)
{
	char *argv[] = { (char *)path, NULL }, *envp[] = { NULL };

	return uemu_start(path, argv, envp);
}

static void start_program(void)
{
	puppet = start(puppet_path);
	to_first_trap();
}

static void start_program_with_area(void)
{
	int fd = open_area(0);

	start_program();
	map_area(fd);
	close(fd);
}

static struct user_regs_struct registers(void)
{
	struct user_regs_struct regs;

	memset(&regs, 0, sizeof(regs));
	IS(ptrace(PTRACE_GETREGS, puppet, 0, &regs), 0);
	return regs;
}

static uint64_t blocked(void)
{
	uint64_t mask = 0;

	IS(ptrace(PTRACE_GETSIGMASK, puppet, sizeof(mask), &mask), 0);
	return mask;
}

static void next_stop(int kind)
{
	IS(uemu_wait(&ev, 0), 0);
	IS(ev.tid, puppet);
	IS(ev.kind, kind);
}

static void go_on(int sig)
{
	IS(uemu_resume(puppet, UEMU_CONT, sig), 0);
}

/* The puppet is to make a call of its own, in whatever way the tracer lets it go on. */
static void prepare(int64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	struct user_regs_struct regs = registers();

	regs.rip = gadget;
	regs.rax = (unsigned long long)nr;
	regs.orig_rax = (unsigned long long)-1;
	regs.rdi = a0;
	regs.rsi = a1;
	regs.rdx = a2;
	regs.r10 = a3;
	IS(ptrace(PTRACE_SETREGS, puppet, 0, &regs), 0);
}

static void begin(int64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	prepare(nr, a0, a1, a2, a3);
	go_on(0);
}

/* The puppet is at the int3 behind its call; what the call returned. */
static int64_t returned(void)
{
	IS(ev.kind, UEMU_TRAP);
	IS(ev.ip, gadget + 3);
	return (int64_t)registers().rax;
}

static int64_t make(int64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	begin(nr, a0, a1, a2, a3);
	next_stop(UEMU_TRAP);
	return returned();
}

/* A call made for the tracer, where the puppet is stopped. */
static int64_t inject(int64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	slot->count = 1;
	slot->calls[0] = (struct uemu_call){ .nr = nr, .args = { a0, a1, a2, a3 } };
	IS(uemu_inject(puppet, AREA + at.calls, &ev), 0);
	IS(ev.kind, UEMU_TRAP);
	return slot->calls[0].ret;
}

/* One that leads to a stop which is no trap: -ESRCH, and `ev` says how. */
static void inject_in_vain(int64_t nr, uint64_t a0, uint64_t a1)
{
	slot->count = 1;
	slot->calls[0] = (struct uemu_call){ .nr = nr, .args = { a0, a1 } };
	IS(uemu_inject(puppet, AREA + at.calls, &ev), -ESRCH);
	IS(ev.tid, puppet);
}

/* Make a call in the puppet without anybody noticing. */
static void check_unnoticed(void)
{
	struct user_regs_struct before = registers(), after;
	uint64_t mask = blocked();

	IS(inject(SYS_getpid, 0, 0, 0, 0), puppet);
	after = registers();
	IS(memcmp(&before, &after, sizeof(before)), 0);
	IS(blocked(), mask);
}

/* Until /proc says so; the caller made the puppet go there. */
static void until_state(char wanted)
{
	char path[64], line[256], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", puppet);
	while (state != wanted) {
		int fd = open(path, O_RDONLY);
		ssize_t n = read(fd, line, sizeof(line) - 1);

		CHECK(n > 0);
		line[n] = 0;
		state = strrchr(line, ')')[2];
		close(fd);
		sched_yield();
	}
}

/* A line of /proc/PID/status, as the number it is. */
static uint64_t status_of(pid_t pid, const char *key, int base)
{
	char path[64], text[4096];
	const char *line;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	CHECK(n > 0);
	text[n] = 0;
	line = strstr(text, key);
	CHECK(line != NULL);
	return strtoull(line + strlen(key), NULL, base);
}

/* Stop a puppet that sleeps in a call. */
static void stop_in_its_sleep(void)
{
	until_state('S');
	IS(uemu_stop(puppet, &ev), 0);
	IS(uemu_wait_for(puppet, &ev), 0);
	IS(ev.tid, puppet);
	IS(ev.kind, UEMU_EVENT);
	IS(ev.code, PTRACE_EVENT_STOP);
	IS(ev.msg, SIGTRAP);
}

/* A filter that stops the calls of the list, from anywhere; -1 ends it. */
static void pick(const int *calls)
{
	struct sock_filter *filter = (struct sock_filter *)(SHARED + 16);
	struct sock_fprog *program = (struct sock_fprog *)SHARED;
	int n = 0;

	filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	for (; *calls >= 0; calls++) {
		filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							   (unsigned)*calls, 0, 1);
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	}
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program->len = (unsigned short)n;
	program->filter = (struct sock_filter *)(BUFFER + 16);
	IS(inject(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0), 0);
	IS(inject(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, BUFFER, 0), 0);
}

static void pick_one(int nr)
{
	const int calls[] = { nr, -1 };

	pick(calls);
}

/* The handler of a signal in the puppet is its int3. */
static void handle(int sig)
{
	struct {
		uint64_t handler, flags, restorer, mask;
	} action = { gadget + 2, SA_SIGINFO | 0x04000000 /* SA_RESTORER */, gadget, 0 };

	memcpy(SHARED, &action, sizeof(action));
	IS(inject(SYS_rt_sigaction, (uint64_t)sig, BUFFER, 0, 8), 0);
}

static uint64_t handler_of(int sig)
{
	IS(inject(SYS_rt_sigaction, (uint64_t)sig, 0, BUFFER, 8), 0);
	return *(uint64_t *)SHARED;
}

/* ---- start ----------------------------------------------------------------- */

TEST(start_stops_before_the_first_instruction)
{
	uint64_t first;

	puppet = start(puppet_path);
	CHECK(puppet > 0);
	IS(uemu_ip(puppet, &first), 0);
	IS(uemu_go(puppet, 0, 0, &ev), 0);
	IS(ev.kind, UEMU_TRAP);
	IS(ev.ip, first + 1);
	end_puppet();
}

TEST(start_leaves_descriptors_as_they_are)
{
	int fds[2], high;
	char path[64];

	IS(pipe2(fds, O_CLOEXEC), 0);
	high = fcntl(fds[0], F_DUPFD, 100);
	CHECK(high >= 100);
	start_program();
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", puppet, high);
	IS(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", puppet, fds[0]);
	IS(access(path, F_OK), -1);
	end_puppet();
	close(high);
	close(fds[0]);
	close(fds[1]);
}

/* Descriptors 0, 1, 2 and nothing that the start itself needed. */
TEST(start_adds_no_descriptor)
{
	char path[64];
	struct dirent *entry;
	DIR *dir;
	int count = 0;

	start_program();
	snprintf(path, sizeof(path), "/proc/%d/fd", puppet);
	dir = opendir(path);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			count += fcntl(atoi(entry->d_name), F_GETFD) == 0 ? 0 : 1;
	closedir(dir);
	IS(count, 0);
	end_puppet();
}

TEST(start_leaves_session_and_mask_as_they_are)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	start_program();
	IS(getsid(puppet), getsid(0));
	IS(getpgid(puppet), getpgid(0));
	IS(blocked(), BIT(SIGUSR2));
	IS(status_of(getpid(), "SigBlk:", 16), BIT(SIGUSR2));
	end_puppet();
}

TEST(start_undoes_what_python_ignores_and_nothing_else)
{
	uint64_t ignored;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	start_program();
	ignored = status_of(puppet, "SigIgn:", 16);
	IS(ignored & (BIT(SIGPIPE) | BIT(SIGXFSZ)), 0);
	IS(ignored & BIT(SIGHUP), BIT(SIGHUP));
	IS(ignored & BIT(SIGCHLD), 0);
	end_puppet();
}

TEST(start_of_nothing)
{
	IS(start("/nonexistent/program"), -ENOENT);
	IS(start("/dev/null"), -EACCES);
	IS(start("/proc/self/exe/x"), -ENOTDIR);
}

/* ---- going on --------------------------------------------------------------- */

TEST(resume_stops_at_the_end_of_a_call)
{
	start_program();
	prepare(SYS_getpid, 0, 0, 0, 0);
	IS(uemu_resume(puppet, UEMU_TO_RETURN, 0), 0);
	next_stop(UEMU_SIGNAL); /* at its entry, which says nothing new */
	IS(uemu_resume(puppet, UEMU_TO_RETURN, 0), 0);
	next_stop(UEMU_RETURNS);
	IS(ev.msg, puppet);
	IS(ev.ip, gadget + 2);
	end_puppet();
}

TEST(resume_one_step)
{
	start_program();
	prepare(SYS_getpid, 0, 0, 0, 0);
	IS(uemu_resume(puppet, UEMU_ONE_STEP, 0), 0);
	next_stop(UEMU_TRAP);
	IS(ev.ip, gadget + 2);
	IS(registers().rax, puppet);
	end_puppet();
}

TEST(resume_in_no_known_way)
{
	start_program();
	IS(uemu_resume(puppet, -1, 0), -EINVAL);
	IS(uemu_resume(puppet, 3, 0), -EINVAL);
	end_puppet();
	IS(uemu_resume(puppet, UEMU_CONT, 0), -ESRCH);
}

TEST(resume_delivers_a_signal)
{
	start_program_with_area();
	handle(SIGUSR1);
	prepare(SYS_getpid, 0, 0, 0, 0);
	IS(uemu_resume(puppet, UEMU_CONT, SIGUSR1), 0);
	next_stop(UEMU_TRAP);
	IS(registers().rdi, SIGUSR1);
	end_puppet();
}

TEST(a_group_stop_lasts_until_sigcont)
{
	start_program();
	IS(kill(puppet, SIGSTOP), 0);
	go_on(0);
	next_stop(UEMU_SIGNAL);
	IS(ev.code, SIGSTOP);
	go_on(SIGSTOP);
	next_stop(UEMU_EVENT);
	IS(ev.code, PTRACE_EVENT_STOP);
	IS(ev.msg, SIGSTOP);
	IS(uemu_listen(puppet), 0);
	IS(uemu_next(&ev, &(struct uemu_ranges){ 0 }, 1), 0);
	IS(ev.kind, UEMU_NONE);
	IS(kill(puppet, SIGCONT), 0);
	next_stop(UEMU_EVENT);
	IS(ev.code, PTRACE_EVENT_STOP);
	IS(ev.msg, SIGTRAP);
	end_puppet();
}

TEST(finish_exec_leaves_execve_behind)
{
	uint64_t path, first, arguments[2] = { BUFFER, 0 };

	start_program_with_area();
	strcpy(SHARED, puppet_path);
	path = BUFFER + 1024;
	memcpy(SHARED + 1024, arguments, sizeof(arguments));
	begin(SYS_execve, BUFFER, path, 0, 0);
	next_stop(UEMU_EVENT);
	IS(ev.code, PTRACE_EVENT_EXEC);
	IS(ev.msg, puppet);
	IS(uemu_finish_exec(puppet, &ev), 0);
	IS(ev.kind, UEMU_EVENT);
	IS(ev.code, PTRACE_EVENT_STOP);
	IS(registers().rax, 0);
	/* Now a call can be made in it. */
	IS(uemu_ip(puppet, &first), 0);
	IS(uemu_poke(puppet, first, 0xcc050f), 0);
	gadget = first;
	IS(call(SYS_getpid, 0, 0, 0, 0, 0, 0), puppet);
	end_puppet();
}

/* ---- calls made in it ---------------------------------------------------------- */

TEST(inject_at_a_trap)
{
	start_program_with_area();
	check_unnoticed();
	end_puppet();
}

TEST(inject_tells_of_a_refused_call)
{
	start_program_with_area();
	IS(inject(SYS_close, 999, 0, 0, 0), -EBADF);
	IS(slot->count, 1);
	IS(inject(SYS_getpid, 0, 0, 0, 0), puppet);
	IS(slot->count, 0);
	end_puppet();
}

TEST(inject_leaves_the_mask_as_it_was)
{
	start_program_with_area();
	IS(uemu_block(puppet, SIGUSR1), 0);
	check_unnoticed();
	IS(blocked(), BIT(SIGUSR1));
	end_puppet();
}

TEST(inject_leaves_a_signal_on_its_way_as_it_is)
{
	siginfo_t sent, before, after;
	uint64_t word;

	start_program_with_area();
	handle(SIGUSR1);
	memset(&sent, 0, sizeof(sent));
	sent.si_code = SI_QUEUE;
	sent.si_value.sival_int = 77;
	IS(syscall(SYS_rt_tgsigqueueinfo, puppet, puppet, SIGUSR1, &sent), 0);
	go_on(0);
	next_stop(UEMU_SIGNAL);
	IS(ptrace(PTRACE_GETSIGINFO, puppet, 0, &before), 0);
	check_unnoticed();
	IS(ptrace(PTRACE_GETSIGINFO, puppet, 0, &after), 0);
	IS(memcmp(&before, &after, sizeof(before)), 0);
	/* And so its handler sees it. */
	go_on(SIGUSR1);
	next_stop(UEMU_TRAP);
	IS(ev.ip, gadget + 3);
	IS(registers().rdi, SIGUSR1);
	IS(uemu_peek(puppet, registers().rsi + offsetof(siginfo_t, si_value), &word), 0);
	IS((int)word, 77);
	end_puppet();
}

TEST(inject_lets_signals_wait)
{
	start_program_with_area();
	IS(syscall(SYS_tgkill, puppet, puppet, SIGUSR1), 0);
	check_unnoticed();
	go_on(0);
	next_stop(UEMU_SIGNAL);
	IS(ev.code, SIGUSR1);
	end_puppet();
}

TEST(inject_gets_over_a_stop_that_was_asked_for)
{
	start_program_with_area();
	IS(uemu_interrupt(puppet), 0);
	check_unnoticed();
	IS(make(SYS_getpid, 0, 0, 0, 0), puppet);
	end_puppet();
}

TEST(without_inject_a_stop_that_was_asked_for_comes)
{
	start_program_with_area();
	IS(uemu_interrupt(puppet), 0);
	begin(SYS_getpid, 0, 0, 0, 0);
	next_stop(UEMU_EVENT);
	IS(ev.code, PTRACE_EVENT_STOP);
	end_puppet();
}

/* SIGSTOP is the one signal that cannot be made to wait. */
TEST(inject_while_sigstop_is_pending)
{
	start_program_with_area();
	IS(kill(puppet, SIGSTOP), 0);
	check_unnoticed();
	go_on(0);
	next_stop(UEMU_SIGNAL);
	IS(ev.code, SIGSTOP);
	end_puppet();
}

TEST(inject_leaves_a_handler_of_sigtrap)
{
	start_program_with_area();
	handle(SIGTRAP);
	IS(inject(SYS_getpid, 0, 0, 0, 0), puppet);
	IS(handler_of(SIGTRAP), gadget + 2);
	end_puppet();
}

TEST(inject_leaves_the_handlers_of_other_signals)
{
	start_program_with_area();
	handle(SIGSEGV);
	IS(inject(SYS_getpid, 0, 0, 0, 0), puppet);
	IS(handler_of(SIGSEGV), gadget + 2);
	IS(handler_of(SIGUSR1), 0);
	end_puppet();
}

TEST(inject_at_the_entry_of_a_call)
{
	start_program_with_area();
	pick_one(SYS_getppid);
	begin(SYS_getppid, 0, 0, 0, 0);
	next_stop(UEMU_SECCOMP);
	check_unnoticed();
	IS(registers().orig_rax, SYS_getppid);
	end_puppet();
}

TEST(inject_in_the_middle_of_a_read)
{
	int fds[2];

	IS(pipe(fds), 0);
	start_program_with_area();
	begin(SYS_read, fds[0], BUFFER, 16, 0);
	stop_in_its_sleep();
	IS(registers().orig_rax, SYS_read);
	check_unnoticed();
	go_on(0);
	until_state('S');
	IS(write(fds[1], "abc", 3), 3);
	next_stop(UEMU_TRAP);
	IS(returned(), 3);
	IS(memcmp(SHARED, "abc", 3), 0);
	end_puppet();
	close(fds[0]);
	close(fds[1]);
}

TEST(inject_in_the_middle_of_a_nanosleep)
{
	const int64_t forever[2] = { 1000000, 0 };
	int64_t nr;
	uint64_t flags, sp;

	start_program_with_area();
	memcpy(SHARED, forever, sizeof(forever));
	begin(SYS_nanosleep, BUFFER, 0, 0, 0);
	stop_in_its_sleep();
	check_unnoticed();
	go_on(0);
	stop_in_its_sleep();
	IS(uemu_syscall_of(puppet, &nr, &flags, &sp), 0);
	IS(nr, SYS_restart_syscall);
	check_unnoticed();
	go_on(0);
	until_state('S');
	end_puppet();
}

TEST(a_nanosleep_that_was_stopped_ends_in_time)
{
	const int64_t a_moment[2] = { 0, 50000000 };
	struct timespec began, ended;

	start_program_with_area();
	memcpy(SHARED, a_moment, sizeof(a_moment));
	clock_gettime(CLOCK_MONOTONIC, &began);
	begin(SYS_nanosleep, BUFFER, 0, 0, 0);
	if (uemu_stop(puppet, &ev) == 0) {
		IS(uemu_wait_for(puppet, &ev), 0);
		check_unnoticed();
		go_on(0);
		next_stop(UEMU_TRAP);
	}
	clock_gettime(CLOCK_MONOTONIC, &ended);
	IS(returned(), 0);
	CHECK((ended.tv_sec - began.tv_sec) * 1000000000L + ended.tv_nsec - began.tv_nsec >=
	      a_moment[1]);
	end_puppet();
}

TEST(inject_into_one_who_exits)
{
	start_program_with_area();
	inject_in_vain(SYS_exit_group, 7, 0);
	IS(ev.kind, UEMU_EXITED);
	IS(ev.code, 7);
}

TEST(inject_into_one_who_is_killed)
{
	start_program_with_area();
	inject_in_vain(SYS_kill, (uint64_t)puppet, SIGKILL);
	IS(ev.kind, UEMU_KILLED);
	IS(ev.code, SIGKILL);
}

TEST(inject_into_one_who_was_killed)
{
	start_program_with_area();
	IS(uemu_kill(puppet), 0);
	slot->count = 1;
	slot->calls[0] = (struct uemu_call){ .nr = SYS_getpid };
	IS(uemu_inject(puppet, AREA + at.calls, &ev), -ESRCH);
	/* Its end is still to be reported, unless it was already. */
	if (ev.kind == UEMU_NONE)
		next_stop(UEMU_KILLED);
	IS(ev.kind, UEMU_KILLED);
	IS(ev.code, SIGKILL);
}

TEST(inject_into_nobody)
{
	start_program_with_area();
	end_puppet();
	IS(uemu_inject(puppet, AREA + at.calls, &ev), -ESRCH);
	IS(ev.kind, UEMU_NONE);
	IS(ev.tid, puppet);
}

/* The program unmapped what was put into it. */
TEST(inject_where_no_code_is)
{
	struct user_regs_struct before, after;
	uint64_t mask;

	start_program_with_area();
	before = registers();
	mask = blocked();
	IS(uemu_inject(puppet, 8, &ev), -ESRCH);
	IS(ev.kind, UEMU_SEGV);
	IS(ev.addr, 8);
	after = registers();
	IS(memcmp(&before, &after, sizeof(before)), 0);
	IS(blocked(), mask);
	check_unnoticed();
	end_puppet();
}

TEST(inject_of_a_call_that_a_filter_picks)
{
	start_program_with_area();
	pick_one(SYS_getppid);
	inject_in_vain(SYS_getppid, 0, 0);
	IS(ev.kind, UEMU_SECCOMP);
	IS(ev.nr, SYS_getppid);
	end_puppet();
}

/* ---- what becomes of a call of its own ---------------------------------------- */

TEST(a_picked_call_is_reported_with_its_arguments)
{
	struct user_regs_struct regs;

	start_program_with_area();
	pick_one(SYS_read);
	begin(SYS_read, 11, 22, 33, 44);
	next_stop(UEMU_SECCOMP);
	regs = registers();
	IS(ev.nr, SYS_read);
	IS(ev.args[0], 11);
	IS(ev.args[1], 22);
	IS(ev.args[2], 33);
	IS(ev.args[3], 44);
	IS(ev.args[4], regs.r8);
	IS(ev.args[5], regs.r9);
	IS(ev.ip, gadget + 2);
	IS(ev.addr, regs.rsp);
	end_puppet();
}

TEST(a_call_that_is_not_picked_is_not_reported)
{
	start_program_with_area();
	pick_one(SYS_read);
	IS(make(SYS_getppid, 0, 0, 0, 0), getpid());
	end_puppet();
}

TEST(a_picked_call_goes_on)
{
	start_program_with_area();
	pick_one(SYS_getppid);
	begin(SYS_getppid, 0, 0, 0, 0);
	next_stop(UEMU_SECCOMP);
	go_on(0);
	next_stop(UEMU_TRAP);
	IS(returned(), getpid());
	end_puppet();
}

TEST(return_makes_no_call)
{
	int fds[2];

	IS(pipe(fds), 0);
	start_program_with_area();
	pick_one(SYS_close);
	for (int i = 0; i < 2; i++) {
		begin(SYS_close, fds[0], 0, 0, 0);
		next_stop(UEMU_SECCOMP);
		/* With calls of ours before it, and without. */
		if (i)
			check_unnoticed();
		IS(uemu_return(puppet, -42), 0);
		go_on(0);
		next_stop(UEMU_TRAP);
		IS(returned(), -42);
	}
	/* It is open still. */
	begin(SYS_close, fds[0], 0, 0, 0);
	next_stop(UEMU_SECCOMP);
	go_on(0);
	next_stop(UEMU_TRAP);
	IS(returned(), 0);
	end_puppet();
	IS(uemu_return(puppet, 0), -ESRCH);
	close(fds[0]);
	close(fds[1]);
}

TEST(return_of_what_looks_like_a_restart)
{
	start_program_with_area();
	pick_one(SYS_getppid);
	begin(SYS_getppid, 0, 0, 0, 0);
	next_stop(UEMU_SECCOMP);
	IS(uemu_return(puppet, -EINTR), 0);
	IS(syscall(SYS_tgkill, puppet, puppet, SIGUSR1), 0);
	go_on(0);
	next_stop(UEMU_SIGNAL);
	go_on(0);
	next_stop(UEMU_TRAP);
	IS(returned(), -EINTR);
	end_puppet();
}

TEST(replay_makes_the_call_after_ours)
{
	start_program_with_area();
	pick_one(SYS_getppid);
	begin(SYS_getppid, 0, 0, 0, 0);
	next_stop(UEMU_SECCOMP);
	check_unnoticed();
	IS(uemu_replay(puppet), 0);
	go_on(0);
	/* It stops here once more. */
	next_stop(UEMU_SECCOMP);
	IS(ev.nr, SYS_getppid);
	go_on(0);
	next_stop(UEMU_TRAP);
	IS(returned(), getpid());
	end_puppet();
	IS(uemu_replay(puppet), -ESRCH);
}

TEST(without_replay_the_call_is_not_made)
{
	start_program_with_area();
	pick_one(SYS_getppid);
	begin(SYS_getppid, 0, 0, 0, 0);
	next_stop(UEMU_SECCOMP);
	check_unnoticed();
	go_on(0);
	next_stop(UEMU_TRAP);
	IS(returned(), -ENOSYS);
	end_puppet();
}

TEST(replay_keeps_the_arguments)
{
	int fds[2];

	IS(pipe(fds), 0);
	IS(write(fds[1], "abcdef", 6), 6);
	start_program_with_area();
	pick_one(SYS_read);
	begin(SYS_read, fds[0], BUFFER + 256, 4, 0);
	next_stop(UEMU_SECCOMP);
	check_unnoticed();
	IS(uemu_replay(puppet), 0);
	go_on(0);
	next_stop(UEMU_SECCOMP);
	IS(ev.args[1], BUFFER + 256);
	IS(ev.args[2], 4);
	go_on(0);
	next_stop(UEMU_TRAP);
	IS(returned(), 4);
	IS(memcmp(SHARED + 256, "abcd", 4), 0);
	end_puppet();
	close(fds[0]);
	close(fds[1]);
}

/* ---- calls that a stop interrupts ------------------------------------------------ */

/* In epoll_wait for nothing, and stopped there. */
static void stop_in_epoll_wait(void)
{
	int epoll;

	start_program_with_area();
	handle(SIGUSR1);
	epoll = (int)inject(SYS_epoll_create1, 0, 0, 0, 0);
	CHECK(epoll >= 0);
	begin(SYS_epoll_wait, (uint64_t)epoll, BUFFER, 1, (uint64_t)-1);
	stop_in_its_sleep();
	IS(registers().rax, -EINTR);
}

TEST(an_interrupted_call_is_made_again)
{
	stop_in_epoll_wait();
	IS(uemu_again_if_ignored(puppet, 0), 1);
	go_on(0);
	until_state('S');
	/* A second time, after calls of ours. */
	stop_in_its_sleep();
	IS(registers().orig_rax, SYS_epoll_wait);
	IS(uemu_again_if_ignored(puppet, 0), 1);
	check_unnoticed();
	go_on(0);
	until_state('S');
	end_puppet();
}

TEST(an_interrupted_call_fails_if_nobody_makes_it_again)
{
	stop_in_epoll_wait();
	go_on(0);
	next_stop(UEMU_TRAP);
	IS(returned(), -EINTR);
	end_puppet();
}

TEST(a_signal_interrupts_a_call)
{
	for (int whole_process = 0; whole_process < 2; whole_process++) {
		struct user_regs_struct before, after;

		stop_in_epoll_wait();
		before = registers();
		if (whole_process)
			IS(kill(puppet, SIGUSR1), 0);
		else
			IS(syscall(SYS_tgkill, puppet, puppet, SIGUSR1), 0);
		IS(uemu_again_if_ignored(puppet, 0), 0);
		after = registers();
		IS(memcmp(&before, &after, sizeof(before)), 0);
		go_on(0);
		next_stop(UEMU_SIGNAL);
		IS(ev.code, SIGUSR1);
		end_puppet();
	}
}

TEST(a_blocked_signal_interrupts_no_call)
{
	stop_in_epoll_wait();
	IS(uemu_block(puppet, SIGUSR1), 0);
	IS(kill(puppet, SIGUSR1), 0);
	IS(syscall(SYS_tgkill, puppet, puppet, SIGUSR1), 0);
	IS(uemu_again_if_ignored(puppet, 0), 1);
	/* One that is not, behind those that are. */
	IS(kill(puppet, SIGUSR2), 0);
	prepare(SYS_getpid, 0, 0, 0, 0);
	IS(ptrace(PTRACE_POKEUSER, puppet, offsetof(struct user_regs_struct, rax), -EINTR), 0);
	IS(ptrace(PTRACE_POKEUSER, puppet, offsetof(struct user_regs_struct, orig_rax), 232), 0);
	IS(uemu_again_if_ignored(puppet, 0), 0);
	end_puppet();
}

TEST(a_signal_that_does_nothing_interrupts_no_call)
{
	const struct {
		int sig, ignore, again;
	} signals[] = {
		{ SIGCHLD, 0, 1 }, { SIGWINCH, 0, 1 }, { SIGURG, 0, 1 }, { SIGUSR2, 1, 1 },
		{ SIGUSR2, 0, 0 }, { SIGCONT, 0, 0 },  { SIGUSR1, 0, 0 },
	};

	for (int i = 0; i < 7; i++) {
		const int sig = signals[i].sig;

		if (signals[i].ignore)
			signal(sig, SIG_IGN);
		stop_in_epoll_wait();
		signal(sig, SIG_DFL);
		IS(kill(puppet, sig), 0);
		IS(uemu_again_if_ignored(puppet, 0), signals[i].again);
		end_puppet();
	}
}

TEST(a_handler_makes_a_signal_do_something)
{
	stop_in_epoll_wait();
	handle(SIGCHLD);
	IS(kill(puppet, SIGCHLD), 0);
	IS(uemu_again_if_ignored(puppet, 0), 0);
	end_puppet();
}

TEST(a_call_is_made_again_at_the_stop_for_a_signal_that_does_nothing)
{
	const int signals[] = { SIGCHLD, SIGUSR1 };

	for (int i = 0; i < 2; i++) {
		stop_in_epoll_wait();
		IS(uemu_again_if_ignored(puppet, 0), 1);
		go_on(0);
		until_state('S');
		IS(kill(puppet, signals[i]), 0);
		next_stop(UEMU_SIGNAL);
		IS(registers().rax, -EINTR);
		IS(uemu_again_if_ignored(puppet, signals[i]), !i);
		go_on(signals[i]);
		if (i == 0) {
			stop_in_its_sleep();
			IS(registers().orig_rax, SYS_epoll_wait);
		} else {
			next_stop(UEMU_TRAP); /* its handler */
			IS(registers().rdi, SIGUSR1);
		}
		end_puppet();
	}
}

TEST(resumes_tells_the_call_that_the_kernel_resumes)
{
	const int64_t forever[2] = { 1000000, 0 };
	int fds[2];

	start_program_with_area();
	IS(uemu_resumes(puppet), 0);
	memcpy(SHARED, forever, sizeof(forever));
	begin(SYS_nanosleep, BUFFER, 0, 0, 0);
	stop_in_its_sleep();
	IS(uemu_resumes(puppet), SYS_nanosleep);
	go_on(0);
	stop_in_its_sleep();
	/* What it is, it was before. */
	IS(uemu_resumes(puppet), 0);
	end_puppet();
	IS(uemu_resumes(puppet), 0);
	IS(pipe(fds), 0);
	start_program_with_area();
	begin(SYS_read, fds[0], BUFFER, 16, 0);
	stop_in_its_sleep();
	IS(uemu_resumes(puppet), 0);
	end_puppet();
	close(fds[0]);
	close(fds[1]);
}

TEST(other_stops_are_no_interrupted_calls)
{
	int fds[2];

	/* At a trap; with the same value in rax, but not in a call. */
	start_program_with_area();
	IS(uemu_again_if_ignored(puppet, 0), 0);
	IS(ptrace(PTRACE_POKEUSER, puppet, offsetof(struct user_regs_struct, rax), -EINTR), 0);
	IS(uemu_again_if_ignored(puppet, 0), 0);
	end_puppet();
	IS(uemu_again_if_ignored(puppet, 0), -ESRCH);
	/* In a call that the kernel restarts itself. */
	IS(pipe(fds), 0);
	start_program_with_area();
	begin(SYS_read, fds[0], BUFFER, 16, 0);
	stop_in_its_sleep();
	IS(uemu_again_if_ignored(puppet, 0), 0);
	end_puppet();
	close(fds[0]);
	close(fds[1]);
}

/* ---- signals ------------------------------------------------------------------------ */

TEST(block_blocks_one_signal)
{
	start_program();
	IS(blocked(), 0);
	IS(uemu_block(puppet, SIGUSR1), 0);
	IS(uemu_block(puppet, SIGHUP), 0);
	IS(uemu_block(puppet, 64), 0);
	IS(blocked(), BIT(SIGUSR1) | BIT(SIGHUP) | BIT(64));
	IS(kill(puppet, SIGUSR1), 0);
	IS(make(SYS_getpid, 0, 0, 0, 0), puppet);
	IS(kill(puppet, SIGUSR2), 0);
	begin(SYS_getpid, 0, 0, 0, 0);
	next_stop(UEMU_SIGNAL);
	IS(ev.code, SIGUSR2);
	end_puppet();
	IS(uemu_block(puppet, SIGUSR1), -ESRCH);
}

/* ---- looking -------------------------------------------------------------------------- */

TEST(syscall_of_a_thread_in_a_call)
{
	int64_t nr;
	uint64_t flags, sp;

	start_program_with_area();
	pick_one(SYS_getppid);
	IS(uemu_syscall_of(puppet, &nr, &flags, &sp), 0);
	IS(nr, -1);
	begin(SYS_getppid, 4711, 0, 0, 0);
	next_stop(UEMU_SECCOMP);
	IS(uemu_syscall_of(puppet, &nr, &flags, &sp), 0);
	IS(nr, SYS_getppid);
	IS(flags, 4711);
	IS(sp, registers().rsp);
	end_puppet();
	IS(uemu_syscall_of(puppet, &nr, &flags, &sp), -ESRCH);
}

TEST(getfd_shares_the_open_file)
{
	int fd = memfd_create("file", 0), own;

	IS(write(fd, "abcdef", 6), 6);
	start_program_with_area();
	IS(lseek(fd, 2, SEEK_SET), 2);
	own = uemu_getfd(puppet, fd);
	CHECK(own >= 0 && own != fd);
	IS(fcntl(own, F_GETFD), FD_CLOEXEC);
	IS(lseek(own, 0, SEEK_CUR), 2);
	IS(lseek(own, 5, SEEK_SET), 5);
	IS(inject(SYS_lseek, (uint64_t)fd, 0, SEEK_CUR, 0), 5);
	IS(inject(SYS_close, (uint64_t)fd, 0, 0, 0), 0);
	IS(uemu_getfd(puppet, fd), -EBADF);
	IS(lseek(own, 0, SEEK_CUR), 5);
	end_puppet();
	IS(uemu_getfd(puppet, fd), -ESRCH);
	close(own);
	close(fd);
}

/* ---- waiting for what concerns us ----------------------------------------------------- */

#define START (DATA + 0x10000)
#define END (DATA + 0x14000)

static const struct uemu_ranges ranges = { 2, { 0x1000, START }, { 0x2000, END } };
static const struct uemu_ranges nowhere;

/* The kind of the next report after a call of the puppet's. */
static int reported(const struct uemu_ranges *in, int64_t nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	begin(nr, a0, a1, a2, 0);
	IS(uemu_next(&ev, in, -1), 0);
	IS(ev.tid, puppet);
	if (ev.kind == UEMU_SECCOMP) {
		IS(ev.nr, nr);
		/* It is not to be made. */
		IS(uemu_return(puppet, 0), 0);
		go_on(0);
		next_stop(UEMU_TRAP);
		return UEMU_SECCOMP;
	}
	returned();
	return ev.kind;
}

TEST(next_lets_calls_go_on_that_change_nothing_of_ours)
{
	const int calls[] = { SYS_munmap, SYS_mprotect, SYS_madvise, -1 };
	const uint64_t third[] = { 0, PROT_READ, MADV_DONTNEED };

	start_program_with_area();
	pick(calls);
	for (int i = 0; calls[i] >= 0; i++) {
		const int nr = calls[i];
		const uint64_t how = third[i];

		/* Before, behind, far away, and nothing at all. */
		IS(reported(&ranges, nr, START - 4096, 4096, how), UEMU_TRAP);
		IS(reported(&ranges, nr, END, 4096, how), UEMU_TRAP);
		IS(reported(&ranges, nr, 0x2000, 4096, how), UEMU_TRAP);
		IS(reported(&ranges, nr, START - 4096, 0, how), UEMU_TRAP);
		IS(reported(&nowhere, nr, START, 4096, how), UEMU_TRAP);
		/* All, the first page, the last one, more than all, a byte; the other range. */
		IS(reported(&ranges, nr, START, END - START, how), UEMU_SECCOMP);
		IS(reported(&ranges, nr, START, 4096, how), UEMU_SECCOMP);
		IS(reported(&ranges, nr, END - 4096, 4096, how), UEMU_SECCOMP);
		IS(reported(&ranges, nr, START - 4096, 0x100000, how), UEMU_SECCOMP);
		IS(reported(&ranges, nr, START - 4096, 4097, how), UEMU_SECCOMP);
		IS(reported(&ranges, nr, END - 1, 1, how), UEMU_SECCOMP);
		IS(reported(&ranges, nr, 0x1000, 4096, how), UEMU_SECCOMP);
	}
	end_puppet();
}

TEST(next_lets_a_call_go_on_that_is_then_made)
{
	start_program_with_area();
	IS(make(SYS_mmap, DATA, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED), DATA);
	pick_one(SYS_munmap);
	IS(reported(&ranges, SYS_munmap, DATA, 4096, 0), UEMU_TRAP);
	IS(returned(), 0);
	/* Nothing is there any more. */
	IS(make(SYS_mprotect, DATA, 4096, PROT_READ, 0), -ENOMEM);
	end_puppet();
}

TEST(next_reports_advice_for_fork_wherever)
{
	const uint64_t advice[] = { MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK, MADV_KEEPONFORK };

	start_program_with_area();
	pick_one(SYS_madvise);
	for (int i = 0; i < 4; i++) {
		IS(reported(&ranges, SYS_madvise, END, 4096, advice[i]), UEMU_SECCOMP);
		IS(reported(&nowhere, SYS_madvise, START, 4096, advice[i]), UEMU_SECCOMP);
	}
	IS(reported(&ranges, SYS_madvise, END, 4096, MADV_FREE), UEMU_TRAP);
	end_puppet();
}

TEST(next_lets_clone3_go_on_that_makes_a_thread)
{
	uint64_t flags;

	start_program_with_area();
	pick_one(SYS_clone3);
	/* A size of 1 is refused by the kernel, if it comes to that. */
	flags = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND;
	memcpy(SHARED, &flags, sizeof(flags));
	IS(reported(&ranges, SYS_clone3, BUFFER, 1, 0), UEMU_TRAP);
	IS(returned(), -EINVAL);
	flags = CLONE_VM | CLONE_VFORK;
	memcpy(SHARED, &flags, sizeof(flags));
	IS(reported(&nowhere, SYS_clone3, BUFFER, 1, 0), UEMU_TRAP);
	flags = 0;
	memcpy(SHARED, &flags, sizeof(flags));
	IS(reported(&nowhere, SYS_clone3, BUFFER, 1, 0), UEMU_SECCOMP);
	flags = CLONE_FILES;
	memcpy(SHARED, &flags, sizeof(flags));
	IS(reported(&nowhere, SYS_clone3, BUFFER, 1, 0), UEMU_SECCOMP);
	/* Who knows what that is? */
	IS(reported(&nowhere, SYS_clone3, 8, 1, 0), UEMU_SECCOMP);
	end_puppet();
}

TEST(next_reports_any_other_call)
{
	const int calls[] = { SYS_getppid, SYS_mremap, SYS_brk, SYS_mmap, -1 };

	start_program_with_area();
	pick(calls);
	for (int i = 0; calls[i] >= 0; i++)
		IS(reported(&nowhere, calls[i], DATA, 4096, 0), UEMU_SECCOMP);
	end_puppet();
}

TEST(next_reports_everything_without_ranges)
{
	start_program_with_area();
	pick_one(SYS_munmap);
	IS(reported(&nowhere, SYS_munmap, END, 4096, 0), UEMU_TRAP);
	IS(reported(NULL, SYS_munmap, END, 4096, 0), UEMU_SECCOMP);
	end_puppet();
}

TEST(next_waits_as_long_as_told)
{
	int fds[2];

	IS(uemu_next(&ev, &nowhere, -1), -ECHILD);
	IS(uemu_next(&ev, &nowhere, 1), -ECHILD);
	IS(pipe(fds), 0);
	start_program_with_area();
	begin(SYS_read, fds[0], BUFFER, 16, 0);
	IS(uemu_next(&ev, &nowhere, 0), 0);
	IS(ev.kind, UEMU_NONE);
	IS(uemu_next(&ev, &nowhere, 1), 0);
	IS(ev.kind, UEMU_NONE);
	IS(write(fds[1], "x", 1), 1);
	IS(uemu_next(&ev, &nowhere, 10000), 0);
	IS(ev.kind, UEMU_TRAP);
	IS(returned(), 1);
	end_puppet();
	close(fds[0]);
	close(fds[1]);
}

TEST(next_leaves_the_mask_of_its_caller)
{
	uint64_t mask = status_of(getpid(), "SigBlk:", 16);

	start_program();
	IS(uemu_next(&ev, &nowhere, 1), 0);
	IS(status_of(getpid(), "SigBlk:", 16), mask);
	end_puppet();
}

/* ---- asking it to stop ------------------------------------------------------------------ */

TEST(stop_of_one_who_runs)
{
	start_program();
	/* jmp . */
	IS(uemu_poke(puppet, gadget, 0xfeeb), 0);
	IS(uemu_cont(puppet, gadget, 0), 0);
	IS(uemu_stop(puppet, &ev), 0);
	IS(ev.kind, UEMU_NONE);
	IS(uemu_wait_for(puppet, &ev), 0);
	IS(ev.kind, UEMU_EVENT);
	IS(ev.code, PTRACE_EVENT_STOP);
	IS(ev.msg, SIGTRAP);
	IS(registers().rip, gadget);
	end_puppet();
}

TEST(stop_of_one_who_had_stopped)
{
	start_program();
	begin(SYS_getpid, 0, 0, 0, 0);
	until_state('t');
	IS(uemu_stop(puppet, &ev), 1);
	IS(ev.tid, puppet);
	IS(returned(), puppet);
	/* And nothing else is to come. */
	IS(uemu_next(&ev, &nowhere, 1), 0);
	IS(ev.kind, UEMU_NONE);
	end_puppet();
}

TEST(stop_of_one_who_is_gone)
{
	start_program();
	begin(SYS_exit_group, 3, 0, 0, 0);
	until_state('Z');
	IS(uemu_stop(puppet, &ev), 1);
	IS(ev.kind, UEMU_EXITED);
	IS(ev.code, 3);
	IS(uemu_stop(puppet, &ev), -ESRCH);
	IS(ev.kind, UEMU_NONE);
	IS(uemu_interrupt(puppet), -ESRCH);
	IS(uemu_wait_for(puppet, &ev), -ECHILD);
}

TEST(wait_for_waits_for_one)
{
	pid_t first, second;

	start_program();
	first = puppet;
	start_program();
	second = puppet;
	begin(SYS_getpid, 0, 0, 0, 0);
	puppet = first;
	begin(SYS_getpid, 0, 0, 0, 0);
	until_state('t');
	IS(uemu_wait_for(second, &ev), 0);
	IS(ev.tid, second);
	IS(uemu_wait_for(first, &ev), 0);
	IS(ev.tid, first);
	IS(returned(), first);
	end_puppet();
	puppet = second;
	end_puppet();
}

/* A leader that ended is reported when its threads have been, and not before. */
TEST(wait_for_a_leader_that_ended_before_its_thread)
{
	pid_t thread = 0;
	int stopped = 0;

	start_program();
	begin(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0);
	while (!thread || !stopped) {
		IS(uemu_wait(&ev, 0), 0);
		IS(ev.kind, UEMU_EVENT);
		if (ev.tid == puppet)
			thread = (pid_t)ev.msg;
		else
			stopped = 1;
	}
	go_on(0);
	next_stop(UEMU_TRAP);
	IS(returned(), thread);
	begin(SYS_exit, 4, 0, 0, 0);
	IS(uemu_wait_for(puppet, &ev), -ESRCH);
	IS(ev.kind, UEMU_NONE);
	IS(uemu_kill(puppet), 0);
	IS(uemu_wait_for(thread, &ev), 0);
	IS(ev.kind, UEMU_KILLED);
	next_stop(UEMU_KILLED);
}

const struct test_case program_cases[] = {
	CASE(start_stops_before_the_first_instruction),
	CASE(start_leaves_descriptors_as_they_are),
	CASE(start_adds_no_descriptor),
	CASE(start_leaves_session_and_mask_as_they_are),
	CASE(start_undoes_what_python_ignores_and_nothing_else),
	CASE(start_of_nothing),
	CASE(resume_stops_at_the_end_of_a_call),
	CASE(resume_one_step),
	CASE(resume_in_no_known_way),
	CASE(resume_delivers_a_signal),
	CASE(a_group_stop_lasts_until_sigcont),
	CASE(finish_exec_leaves_execve_behind),
	CASE(inject_at_a_trap),
	CASE(inject_tells_of_a_refused_call),
	CASE(inject_leaves_the_mask_as_it_was),
	CASE(inject_leaves_a_signal_on_its_way_as_it_is),
	CASE(inject_lets_signals_wait),
	CASE(inject_gets_over_a_stop_that_was_asked_for),
	CASE(without_inject_a_stop_that_was_asked_for_comes),
	CASE(inject_while_sigstop_is_pending),
	CASE(inject_leaves_a_handler_of_sigtrap),
	CASE(inject_leaves_the_handlers_of_other_signals),
	CASE(inject_at_the_entry_of_a_call),
	CASE(inject_in_the_middle_of_a_read),
	CASE(inject_in_the_middle_of_a_nanosleep),
	CASE(a_nanosleep_that_was_stopped_ends_in_time),
	CASE(inject_into_one_who_exits),
	CASE(inject_into_one_who_is_killed),
	CASE(inject_into_one_who_was_killed),
	CASE(inject_into_nobody),
	CASE(inject_where_no_code_is),
	CASE(inject_of_a_call_that_a_filter_picks),
	CASE(a_picked_call_is_reported_with_its_arguments),
	CASE(a_call_that_is_not_picked_is_not_reported),
	CASE(a_picked_call_goes_on),
	CASE(return_makes_no_call),
	CASE(return_of_what_looks_like_a_restart),
	CASE(replay_makes_the_call_after_ours),
	CASE(without_replay_the_call_is_not_made),
	CASE(replay_keeps_the_arguments),
	CASE(an_interrupted_call_is_made_again),
	CASE(an_interrupted_call_fails_if_nobody_makes_it_again),
	CASE(a_signal_interrupts_a_call),
	CASE(a_blocked_signal_interrupts_no_call),
	CASE(a_signal_that_does_nothing_interrupts_no_call),
	CASE(a_handler_makes_a_signal_do_something),
	CASE(a_call_is_made_again_at_the_stop_for_a_signal_that_does_nothing),
	CASE(resumes_tells_the_call_that_the_kernel_resumes),
	CASE(other_stops_are_no_interrupted_calls),
	CASE(block_blocks_one_signal),
	CASE(syscall_of_a_thread_in_a_call),
	CASE(getfd_shares_the_open_file),
	CASE(next_lets_calls_go_on_that_change_nothing_of_ours),
	CASE(next_lets_a_call_go_on_that_is_then_made),
	CASE(next_reports_advice_for_fork_wherever),
	CASE(next_lets_clone3_go_on_that_makes_a_thread),
	CASE(next_reports_any_other_call),
	CASE(next_reports_everything_without_ranges),
	CASE(next_waits_as_long_as_told),
	CASE(next_leaves_the_mask_of_its_caller),
	CASE(stop_of_one_who_runs),
	CASE(stop_of_one_who_had_stopped),
	CASE(stop_of_one_who_is_gone),
	CASE(wait_for_waits_for_one),
	CASE(wait_for_a_leader_that_ended_before_its_thread),
	{ 0 },
};

/*
 * What the C helper promises, asked of it from C: `driver PUPPET TEST` runs one
 * test and says nothing if it passes. test_helper.py lists, builds and runs them.
 * Those of what is for programs of the user's are in driver_program.c.
 *
 * After each test nothing may be left: no child to wait for, no descriptor.
 */
#include "driver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

const char *puppet_path;

void check_is(const char *file, int line, const char *what, long actual, long expected)
{
	if (actual == expected)
		return;
	fprintf(stderr, "%s:%d: %s is %ld (%#lx), expected %ld\n", strrchr(file, '/') + 1, line,
		what, actual, (unsigned long)actual, expected);
	_exit(1);
}

/* ---- a puppet and its control area --------------------------------------- */

struct uemu_event ev;
struct uemu_entries at;
pid_t puppet;
uint64_t gadget;
char *area;
struct uemu_slot *slot;
static int autoreap;

static int spawn(const char *path, const int *fds, int nfds)
{
	char *argv[] = { (char *)path, NULL }, *envp[] = { NULL };

	return uemu_spawn(path, argv, envp, fds, nfds, autoreap);
}

int64_t call(int64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
	     uint64_t a5)
{
	int64_t ret = -1;

	IS(uemu_syscall(puppet, gadget, nr, a0, a1, a2, a3, a4, a5, &ret), 0);
	return ret;
}

/*
 * A puppet in its first trap, with `syscall; int3` behind its loop. (In the stop
 * of execve itself a system call cannot be set up: the kernel has yet to store
 * execve's own result in rax.)
 */
void to_first_trap(void)
{
	CHECK(puppet > 0);
	IS(uemu_go(puppet, 0, 0, &ev), 0);
	IS(ev.kind, UEMU_TRAP);
	gadget = ev.ip + 15;
	IS(uemu_poke(puppet, gadget, 0xcc050f), 0);
}

/* Memory that the driver shares with the puppet it is about to start. */
int open_area(unsigned flags)
{
	int fd = memfd_create("area", flags);

	CHECK(fd >= 0);
	IS(ftruncate(fd, UEMU_AREA_SIZE), 0);
	area = mmap(NULL, UEMU_AREA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(area != MAP_FAILED);
	slot = (struct uemu_slot *)(area + UEMU_SLOT_AT);
	uemu_stub_entries(&at);
	uemu_stub_copy(area);
	return fd;
}

/* As a control area it is mapped from the puppet's descriptor `fd`. */
void map_area(int fd)
{
	uint64_t code = UEMU_SLOT_AT, rest = UEMU_AREA_SIZE - code;

	IS(call(SYS_mmap, AREA, code, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0), AREA);
	IS(call(SYS_mmap, AREA + code, rest, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		code),
	   AREA + code);
	IS(call(SYS_close, fd, 0, 0, 0, 0, 0), 0);
}

static void start_puppet(const int *fds, int nfds)
{
	puppet = spawn(puppet_path, fds, nfds);
	to_first_trap();
}

static void start_puppet_with_area(void)
{
	int fd = open_area(MFD_CLOEXEC);

	start_puppet(&fd, 1);
	map_area(0);
	close(fd);
}

static void map_data(int prot)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	IS(call(SYS_mmap, DATA, 4096, prot, flags, -1, 0), DATA);
}

static void go(uint64_t entry)
{
	IS(uemu_go(puppet, AREA + entry, 0, &ev), 0);
	IS(ev.tid, puppet);
}

void end_puppet(void)
{
	IS(uemu_kill(puppet), 0);
	do
		IS(uemu_wait(&ev, 0), 0);
	while (ev.tid != puppet || (ev.kind != UEMU_KILLED && ev.kind != UEMU_EXITED));
	IS(ev.kind, UEMU_KILLED);
	IS(ev.code, SIGKILL);
}

/* ---- the stub ------------------------------------------------------------ */

TEST(entries_lie_in_the_code)
{
	uint32_t *entry = &at.resume, *end = (uint32_t *)(&at + 1);

	uemu_stub_entries(&at);
	CHECK(at.size > 0 && at.size <= 4096);
	for (; entry < end; entry++)
		CHECK(*entry < at.size);
}

TEST(copy_writes_no_more_than_its_size)
{
	char *exact;

	uemu_stub_entries(&at);
	exact = malloc(at.size);
	uemu_stub_copy(exact);
	free(exact);
}

TEST(accesses_move_each_width)
{
	const struct {
		uint32_t store, load;
		int bytes;
	} widths[] = {
		{ offsetof(struct uemu_entries, store1), offsetof(struct uemu_entries, load1), 1 },
		{ offsetof(struct uemu_entries, store2), offsetof(struct uemu_entries, load2), 2 },
		{ offsetof(struct uemu_entries, store4), offsetof(struct uemu_entries, load4), 4 },
		{ offsetof(struct uemu_entries, store8), offsetof(struct uemu_entries, load8), 8 },
	};
	const uint64_t value = 0x1122334455667788;

	start_puppet_with_area();
	map_data(PROT_READ | PROT_WRITE);
	for (int i = 0; i < 4; i++) {
		uint64_t mask = ~0UL >> (64 - 8 * widths[i].bytes), seen;

		slot->addr = DATA + 64 * i;
		slot->value = value;
		go(*(uint32_t *)((char *)&at + widths[i].store));
		IS(ev.kind, UEMU_TRAP);
		IS(uemu_peek(puppet, slot->addr, &seen), 0);
		IS(seen, value & mask);
		slot->value = 0;
		go(*(uint32_t *)((char *)&at + widths[i].load));
		IS(ev.kind, UEMU_TRAP);
		IS(slot->value & mask, value & mask);
	}
	end_puppet();
}

TEST(accesses_move_many_bytes)
{
	char *buffer, bytes[4096];

	start_puppet_with_area();
	map_data(PROT_READ | PROT_WRITE);
	buffer = area + UEMU_BUFFER_AT;
	for (int i = 0; i < 4096; i++)
		bytes[i] = (char)(i * 7);
	memcpy(buffer, bytes, sizeof(bytes));
	slot->addr = DATA;
	slot->length = sizeof(bytes);
	go(at.store_bytes);
	IS(ev.kind, UEMU_TRAP);
	memset(buffer, 0, sizeof(bytes));
	go(at.load_bytes);
	IS(ev.kind, UEMU_TRAP);
	IS(memcmp(buffer, bytes, sizeof(bytes)), 0);
	end_puppet();
}

TEST(calls_run_in_order_and_stop_at_the_first_failure)
{
	start_puppet_with_area();
	slot->count = 3;
	slot->calls[0] = (struct uemu_call){ .nr = SYS_getpid };
	slot->calls[1] = (struct uemu_call){ .nr = SYS_close, .args = { 99 } };
	slot->calls[2] = (struct uemu_call){ .nr = SYS_getpid, .ret = -1 };
	go(at.calls);
	IS(ev.kind, UEMU_TRAP);
	IS(slot->calls[0].ret, puppet);
	IS(slot->calls[1].ret, -EBADF);
	IS(slot->calls[2].ret, -1);
	IS(slot->count, 2);
	end_puppet();
}

TEST(as_many_calls_as_a_slot_has)
{
	start_puppet_with_area();
	slot->count = UEMU_MAX_CALLS;
	for (int i = 0; i < UEMU_MAX_CALLS; i++)
		slot->calls[i] = (struct uemu_call){ .nr = SYS_getpid };
	go(at.calls);
	IS(ev.kind, UEMU_TRAP);
	for (int i = 0; i < UEMU_MAX_CALLS; i++)
		IS(slot->calls[i].ret, puppet);
	IS(slot->count, 0);
	end_puppet();
}

/* ---- a fault and its one stop -------------------------------------------- */

TEST(a_store_faults_and_one_stop_mends_it)
{
	struct user_regs_struct before, after;
	uint64_t seen;

	start_puppet_with_area();
	map_data(PROT_READ);
	slot->addr = DATA + 8;
	slot->value = 0x5a;
	go(at.store1);
	IS(ev.kind, UEMU_SEGV);
	IS(ev.addr, DATA + 8);
	IS(ev.code, SEGV_ACCERR);
	/* Registers and flags of its own, to find them again. */
	IS(ptrace(PTRACE_GETREGS, puppet, 0, &before), 0);
	before.rbx = 1, before.rcx = 2, before.rdx = 3, before.rsi = 4, before.rbp = 5;
	before.r8 = 8, before.r9 = 9, before.r10 = 10, before.r11 = 11, before.r12 = 12;
	before.eflags |= 0x8d5; /* OF SF ZF AF PF CF */
	IS(ptrace(PTRACE_SETREGS, puppet, 0, &before), 0);
	IS(uemu_go_call(puppet, AREA + at.resume, slot, ev.ip, SYS_mprotect, DATA, 4096,
			PROT_READ | PROT_WRITE, 0, 0, 0, &ev),
	   0);
	IS(ev.kind, UEMU_TRAP);
	IS(slot->calls[0].ret, 0);
	IS(uemu_peek(puppet, DATA + 8, &seen), 0);
	IS(seen, 0x5a);
	IS(ptrace(PTRACE_GETREGS, puppet, 0, &after), 0);
	IS(after.eflags & 0x8d5, 0x8d5);
	before.rip = after.rip;
	before.orig_rax = after.orig_rax;
	before.eflags = after.eflags;
	IS(memcmp(&before, &after, sizeof(before)), 0);
	end_puppet();
}

TEST(flags_that_were_clear_stay_clear)
{
	struct user_regs_struct regs;

	start_puppet_with_area();
	map_data(PROT_READ);
	slot->addr = DATA;
	go(at.store1);
	IS(ptrace(PTRACE_GETREGS, puppet, 0, &regs), 0);
	regs.eflags &= ~0x8d5UL;
	IS(ptrace(PTRACE_SETREGS, puppet, 0, &regs), 0);
	IS(uemu_go_call(puppet, AREA + at.resume, slot, ev.ip, SYS_mprotect, DATA, 4096,
			PROT_READ | PROT_WRITE, 0, 0, 0, &ev),
	   0);
	IS(ev.kind, UEMU_TRAP);
	IS(ptrace(PTRACE_GETREGS, puppet, 0, &regs), 0);
	IS(regs.eflags & 0x8d5, 0);
	end_puppet();
}

TEST(a_call_that_fails_in_a_fault_stops_before_the_store)
{
	start_puppet_with_area();
	map_data(PROT_READ);
	slot->addr = DATA;
	go(at.store1);
	IS(uemu_go_call(puppet, AREA + at.resume, slot, ev.ip, SYS_mprotect, DATA + 1, 4096,
			PROT_READ, 0, 0, 0, &ev),
	   0);
	IS(ev.kind, UEMU_TRAP);
	CHECK(ev.ip > AREA && ev.ip <= AREA + at.size);
	IS(slot->calls[0].ret, -EINVAL);
	IS(slot->count, 1);
	end_puppet();
}

/* ---- start --------------------------------------------------------------- */

TEST(spawn_stops_before_the_first_instruction)
{
	uint64_t start;

	puppet = spawn(puppet_path, NULL, 0);
	CHECK(puppet > 0);
	IS(uemu_ip(puppet, &start), 0);
	for (int i = 0; i < 3; i++) {
		IS(uemu_go(puppet, 0, 0, &ev), 0);
		IS(ev.kind, UEMU_TRAP);
		IS(ev.ip, start + 1);
	}
	end_puppet();
}

TEST(spawn_of_nothing)
{
	IS(spawn("/nonexistent/puppet", NULL, 0), -ENOENT);
	IS(spawn("/dev/null", NULL, 0), -EACCES);
}

TEST(spawn_refuses_too_many_descriptors)
{
	int fds[9] = { 0 };

	IS(spawn(puppet_path, fds, 9), -EINVAL);
	IS(spawn(puppet_path, fds, -1), -EINVAL);
}

TEST(spawn_with_a_bad_descriptor)
{
	int fds[2] = { 2, 999 };

	IS(spawn(puppet_path, fds, 2), -EBADF);
}

TEST(spawn_arranges_descriptors)
{
	char path[64], a[64] = "", b[64] = "";
	int fds[2], swapped[2];

	IS(pipe2(fds, O_CLOEXEC), 0);
	swapped[0] = fds[1];
	swapped[1] = fds[0];
	puppet = spawn(puppet_path, swapped, 2);
	CHECK(puppet > 0);
	snprintf(path, sizeof(path), "/proc/%d/fd/0", puppet);
	CHECK(readlink(path, a, sizeof(a) - 1) > 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[1]);
	CHECK(readlink(path, b, sizeof(b) - 1) > 0);
	IS(strcmp(a, b), 0);
	snprintf(path, sizeof(path), "/proc/%d/fd/2", puppet);
	IS(access(path, F_OK), -1);
	end_puppet();
	close(fds[0]);
	close(fds[1]);
}

/* ---- wait ---------------------------------------------------------------- */

TEST(wait_with_nobody_to_wait_for)
{
	IS(uemu_wait(&ev, 0), -ECHILD);
	IS(uemu_wait(&ev, 1), -ECHILD);
}

TEST(wait_without_a_report)
{
	start_puppet(NULL, 0);
	IS(uemu_wait(&ev, 1), 0);
	IS(ev.kind, UEMU_NONE);
	IS(ev.tid, 0);
	end_puppet();
}

static pthread_barrier_t born, looked;

static void *a_child_of_its_own(void *status)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(3);
	pthread_barrier_wait(&born);
	pthread_barrier_wait(&looked);
	IS(waitpid(pid, status, 0), pid);
	return NULL;
}

TEST(wait_leaves_children_of_other_threads_alone)
{
	pthread_t thread;
	siginfo_t info;
	int status = -1;

	pthread_barrier_init(&born, NULL, 2);
	pthread_barrier_init(&looked, NULL, 2);
	IS(pthread_create(&thread, NULL, a_child_of_its_own, &status), 0);
	pthread_barrier_wait(&born);
	IS(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
	IS(uemu_wait(&ev, 0), -ECHILD);
	pthread_barrier_wait(&looked);
	IS(pthread_join(thread, NULL), 0);
	CHECK(WIFEXITED(status));
	IS(WEXITSTATUS(status), 3);
}

TEST(wait_tells_a_signal_from_a_fault)
{
	start_puppet(NULL, 0);
	IS(syscall(SYS_tgkill, puppet, puppet, SIGUSR1), 0);
	IS(uemu_go(puppet, 0, 0, &ev), 0);
	IS(ev.kind, UEMU_SIGNAL);
	IS(ev.code, SIGUSR1);
	IS(syscall(SYS_tgkill, puppet, puppet, SIGSEGV), 0);
	IS(uemu_go(puppet, 0, 0, &ev), 0);
	IS(ev.kind, UEMU_SIGNAL);
	IS(ev.code, SIGSEGV);
	IS(uemu_go(puppet, 8, 0, &ev), 0);
	IS(ev.kind, UEMU_SEGV);
	IS(ev.code, SEGV_MAPERR);
	IS(ev.addr, 8);
	IS(ev.ip, 8);
	end_puppet();
}

TEST(wait_reports_an_exit)
{
	start_puppet_with_area();
	slot->count = 1;
	slot->calls[0] = (struct uemu_call){ .nr = SYS_exit_group, .args = { 7 } };
	go(at.calls);
	IS(ev.kind, UEMU_EXITED);
	IS(ev.code, 7);
}

/* Fork the puppet, see its child born and dead; return the child's pid. */
static pid_t fork_and_kill_the_child(void)
{
	pid_t child = 0, stopped = 0;

	slot->count = 1;
	slot->calls[0] = (struct uemu_call){ .nr = SYS_fork };
	IS(uemu_cont(puppet, AREA + at.calls, 0), 0);
	/* The two come in either order. */
	while (!child || !stopped) {
		IS(uemu_wait(&ev, 0), 0);
		IS(ev.kind, UEMU_EVENT);
		if (ev.tid == puppet) {
			IS(ev.code, PTRACE_EVENT_FORK);
			child = (pid_t)ev.msg;
		} else {
			IS(ev.code, PTRACE_EVENT_STOP);
			stopped = ev.tid;
		}
	}
	IS(child, stopped);
	IS(uemu_kill(child), 0);
	IS(uemu_wait(&ev, 0), 0);
	IS(ev.tid, child);
	IS(ev.kind, UEMU_KILLED);
	return child;
}

TEST(wait_reports_a_fork_and_the_child)
{
	start_puppet_with_area();
	IS(kill(fork_and_kill_the_child(), 0), 0); /* a zombie of the puppet's */
	end_puppet();
}

TEST(autoreap_leaves_no_zombie)
{
	autoreap = 1;
	start_puppet_with_area();
	IS(kill(fork_and_kill_the_child(), 0), -1);
	IS(errno, ESRCH);
	end_puppet();
}

/* ---- look, change, end --------------------------------------------------- */

TEST(syscall_leaves_the_registers_alone)
{
	struct user_regs_struct before, after;

	start_puppet(NULL, 0);
	IS(ptrace(PTRACE_GETREGS, puppet, 0, &before), 0);
	IS(call(SYS_getpid, 0, 0, 0, 0, 0, 0), puppet);
	IS(call(SYS_close, 99, 0, 0, 0, 0, 0), -EBADF);
	IS(ptrace(PTRACE_GETREGS, puppet, 0, &after), 0);
	IS(memcmp(&before, &after, sizeof(before)), 0);
	end_puppet();
}

TEST(peek_and_poke)
{
	uint64_t word, again;

	start_puppet(NULL, 0);
	IS(uemu_peek(puppet, gadget, &word), 0);
	IS(uemu_poke(puppet, gadget, ~0UL), 0);
	IS(uemu_peek(puppet, gadget, &again), 0);
	IS(again, ~0UL);
	IS(uemu_poke(puppet, gadget, word), 0);
	IS(uemu_peek(puppet, gadget, &again), 0);
	IS(again, word);
	IS(uemu_peek(puppet, 8, &word), -EIO);
	IS(uemu_poke(puppet, 8, 0), -EIO);
	end_puppet();
}

TEST(the_dead_are_no_processes)
{
	uint64_t word;
	int64_t ret;

	start_puppet(NULL, 0);
	end_puppet();
	IS(uemu_cont(puppet, 0, 0), -ESRCH);
	IS(uemu_cont(puppet, gadget, 0), -ESRCH);
	IS(uemu_go(puppet, 0, 0, &ev), -ESRCH);
	IS(uemu_ip(puppet, &word), -ESRCH);
	IS(uemu_peek(puppet, gadget, &word), -ESRCH);
	IS(uemu_poke(puppet, gadget, 0), -ESRCH);
	IS(uemu_syscall(puppet, gadget, SYS_getpid, 0, 0, 0, 0, 0, 0, &ret), -ESRCH);
	IS(uemu_kill(puppet), -ESRCH);
}

TEST(cpu_is_one_of_ours)
{
	cpu_set_t only;

	CPU_ZERO(&only);
	CPU_SET(uemu_cpu(), &only);
	IS(sched_setaffinity(0, sizeof(only), &only), 0);
	CHECK(CPU_ISSET(uemu_cpu(), &only));
}

TEST(bounce_measures)
{
	double ns = 0;

	IS(uemu_bounce(100, &ns), 0);
	CHECK(ns > 100 && ns < 1e9);
}

/* ---- one by name --------------------------------------------------------- */

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static const struct test_case cases[] = {
	CASE(entries_lie_in_the_code),
	CASE(copy_writes_no_more_than_its_size),
	CASE(accesses_move_each_width),
	CASE(accesses_move_many_bytes),
	CASE(calls_run_in_order_and_stop_at_the_first_failure),
	CASE(as_many_calls_as_a_slot_has),
	CASE(a_store_faults_and_one_stop_mends_it),
	CASE(flags_that_were_clear_stay_clear),
	CASE(a_call_that_fails_in_a_fault_stops_before_the_store),
	CASE(spawn_stops_before_the_first_instruction),
	CASE(spawn_of_nothing),
	CASE(spawn_refuses_too_many_descriptors),
	CASE(spawn_with_a_bad_descriptor),
	CASE(spawn_arranges_descriptors),
	CASE(wait_with_nobody_to_wait_for),
	CASE(wait_without_a_report),
	CASE(wait_leaves_children_of_other_threads_alone),
	CASE(wait_tells_a_signal_from_a_fault),
	CASE(wait_reports_an_exit),
	CASE(wait_reports_a_fork_and_the_child),
	CASE(autoreap_leaves_no_zombie),
	CASE(syscall_leaves_the_registers_alone),
	CASE(peek_and_poke),
	CASE(the_dead_are_no_processes),
	CASE(cpu_is_one_of_ours),
	CASE(bounce_measures),
	{ 0 },
};

static const struct test_case *find(const struct test_case *in, const char *name)
{
	while (in->name && strcmp(in->name, name))
		in++;
	return in;
}

int main(int argc, char **argv)
{
	const struct test_case *wanted;
	int fds = count_fds();

	if (argc != 3)
		return 2;
	wanted = find(cases, argv[2]);
	puppet_path = argv[1];
	if (!wanted->name)
		wanted = find(program_cases, argv[2]);
	if (!wanted->name) {
		fprintf(stderr, "no test %s\n", argv[2]);
		return 2;
	}
	wanted->run();
	IS(count_fds(), fds);
	IS(uemu_wait(&ev, 0), -ECHILD);
	return 0;
}

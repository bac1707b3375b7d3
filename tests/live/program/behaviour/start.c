/* What a program finds when it starts, and hands on by fork and exec. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <dirent.h>
#include <linux/auxvec.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>

/*
 * Left out, since it is said to differ: PR_GET_NO_NEW_PRIVS and Seccomp in
 * /proc/self/status (without root a filter needs no_new_privs, which survives
 * exec), TracerPid, and the mappings, 64 GiB of which are uemu's.
 */

extern char **environ;

static void words(char **argv)
{
	int count = 0;

	for (char **arg = argv + 1; *arg; arg++)
		printf("argument %s\n", *arg);
	for (char **env = environ; *env; env++, count++)
		if (!strncmp(*env, "PATH=", 5) || !strncmp(*env, "START_", 6))
			printf("%s\n", *env);
	printf("%d variables\n", count);
}

static void auxiliary(void)
{
	static const unsigned long same[] = {
		AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_FLAGS, AT_UID, AT_EUID, AT_GID, AT_EGID, AT_SECURE,
		AT_CLKTCK, AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ,
	};
	const unsigned char *vdso = (void *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	struct timespec fast, slow;

	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
		printf("auxv %lu: %lu\n", same[i], getauxval(same[i]));
	printf("platform %s\n", (const char *)getauxval(AT_PLATFORM));
	CHECK(!is_filled((void *)getauxval(AT_RANDOM), 0, 16));
	CHECK(access((const char *)getauxval(AT_EXECFN), X_OK) == 0);
	CHECK(vdso && !memcmp(vdso, "\177ELF", 4));
	CHECK(clock_gettime(CLOCK_MONOTONIC, &fast) == 0);
	CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &slow) == 0);
	CHECK(slow.tv_sec - fast.tv_sec < 5);
}

static void descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;

	CHECK(folder);
	while ((entry = readdir(folder))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(folder))
			printf("descriptor %d: flags %x, %x\n", fd, fcntl(fd, F_GETFD), fcntl(fd, F_GETFL));
	}
	closedir(folder);
	/* The next one is the lowest that is free. */
	show("next descriptor", dup(0));
}

static void signals(void)
{
	sigset_t blocked, pending;
	stack_t stack;

	CHECK(sigprocmask(SIG_BLOCK, NULL, &blocked) == 0 && sigpending(&pending) == 0);
	for (int sig = 1; sig < NSIG; sig++) {
		struct sigaction action;

		if (sigaction(sig, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
			printf("signal %d is %s\n", sig, action.sa_handler == SIG_IGN ? "ignored" : "caught");
		if (sigismember(&blocked, sig) == 1 || sigismember(&pending, sig) == 1)
			printf("signal %d is blocked or pending\n", sig);
	}
	CHECK(sigaltstack(NULL, &stack) == 0 && stack.ss_flags == SS_DISABLE);
}

static void limits(void)
{
	struct itimerval timer;
	cpu_set_t cpus;
	char text[20];

	for (int which = 0; which < RLIMIT_NLIMITS; which++) {
		struct rlimit limit;

		CHECK(getrlimit((__rlimit_resource_t)which, &limit) == 0);
		snprintf(text, sizeof(text), "limit %d", which);
		printf("%s: %lx of %lx\n", text, limit.rlim_cur, limit.rlim_max);
	}
	show("priority", getpriority(PRIO_PROCESS, 0));
	show("scheduler", syscall(SYS_sched_getscheduler, 0));
	CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(cpus), &cpus) > 0);
	show("CPUs", CPU_COUNT(&cpus));
	CHECK(getitimer(ITIMER_REAL, &timer) == 0 && !timer.it_value.tv_sec && !timer.it_value.tv_usec);
}

static void process(void)
{
	char path[4096], name[17] = { 0 };
	mode_t mask = umask(0);
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	umask(mask);
	printf("umask %o\n", mask);
	CHECK(length > 0);
	path[length] = 0;
	printf("program %s\n", strrchr(path, '/'));
	printf("known as %s, %s\n", program_invocation_short_name,
	       prctl(PR_GET_NAME, name) == 0 ? name : "?");
	CHECK(getcwd(path, sizeof(path)) && access(path, W_OK) == 0);
	show("leads its session", getsid(0) == getpid());
	show("leads its group", getpgrp() == getpid());
	show("is in its parent's group", getpgrp() == getpgid(getppid()));
	show("is in its parent's session", getsid(0) == getsid(getppid()));
	printf("personality %x\n", personality(0xffffffff));
	show("PR_GET_DUMPABLE", prctl(PR_GET_DUMPABLE));
	show("PR_GET_PDEATHSIG", prctl(PR_GET_PDEATHSIG, path) == 0 ? *(int *)(void *)path : -1);
	show("PR_GET_KEEPCAPS", prctl(PR_GET_KEEPCAPS));
	show("PR_GET_TIMERSLACK", prctl(PR_GET_TIMERSLACK));
	show("PR_GET_THP_DISABLE", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	show("PR_GET_CHILD_SUBREAPER", prctl(PR_GET_CHILD_SUBREAPER, path) == 0 ? path[0] : -1);
	show("PR_GET_SECUREBITS", prctl(PR_GET_SECUREBITS));
	show("users", (long)getuid() << 16 | getgid());
	show("groups", getgroups(0, NULL));
	show("no child", waitpid(-1, NULL, WNOHANG));
	show("a thread", getpid() == (pid_t)syscall(SYS_gettid));
	CHECK(sbrk(0) != (void *)-1 && sbrk(PAGE) != (void *)-1);
}

/* Make things unusual, so that the next program has something to find. */
static void unusual(void)
{
	struct rlimit files = { 100, 200 }, core = { 0, 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGSEGV);
	sigaddset(&set, SIGTRAP);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	CHECK(raise(SIGUSR1) == 0);
	CHECK(signal(SIGUSR2, SIG_IGN) != SIG_ERR && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0 && setrlimit(RLIMIT_CORE, &core) == 0);
	umask(027);
	CHECK(setpgid(0, 0) == 0);
	CHECK(personality(ADDR_NO_RANDOMIZE) != -1);
	CHECK(prctl(PR_SET_NAME, "unusual") == 0);
	CHECK(prctl(PR_SET_TIMERSLACK, 70000) == 0);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	CHECK(mkdir("folder", 0700) == 0 && chdir("folder") == 0);
	CHECK(open("/dev/null", O_RDONLY) >= 0 && open("/dev/null", O_WRONLY | O_CLOEXEC) >= 0);
	CHECK(dup2(0, 50) == 50);
	CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0);
}

int main(int argc, char **argv)
{
	static char *const environment[] = { "START_=again", "PATH=/usr/bin", NULL };
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	words(argv);
	auxiliary();
	descriptors();
	signals();
	limits();
	process();
	if (argc > 1)
		return 5;
	printf("== and again\n");
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		static struct arena arena;

		/* Once as it is, and once as it is with frames. */
		arena_start(&arena, 4, READ);
		unusual();
		execle("/proc/self/exe", "name", "", "two words", NULL, environment);
		fail(__LINE__, "execle");
	}
	show("the second", WEXITSTATUS(status_of(pid)));
	puts("EXIT-SUCCESS");
	return 0;
}

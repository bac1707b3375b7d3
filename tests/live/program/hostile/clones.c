/* clone in its rarer forms, by threads that are killed in the middle of it. */
#include "hostile.h"

static volatile pid_t parent;

static int child(void *arg)
{
	(void)arg;
	touch();
	if (chance(3))
		syscall(SYS_pread64, file, buf + chance(PAGES) * PAGE, PAGE, 0);
	if (chance(4) == 0)
		hit(parent, SIGKILL);
	syscall(SYS_exit_group, 0);
	return 0;
}

static void *clones(void *arg)
{
	static const int flags[] = {
		SIGCHLD, CLONE_VM, CLONE_VM | SIGCHLD, CLONE_VM | CLONE_VFORK | SIGCHLD,
		CLONE_VM | CLONE_FS | CLONE_FILES, CLONE_VM | CLONE_SIGHAND | CLONE_FILES,
		CLONE_FILES | SIGCHLD, CLONE_UNTRACED | SIGCHLD, CLONE_VFORK | SIGCHLD, SIGUSR1,
	};

	parent = getpid();
	while (!over()) {
		char *stack = pages(8);
		int how = flags[chance(sizeof(flags) / sizeof(flags[0]))];

		if (clone(child, stack + 8 * PAGE, how, NULL) < 0)
			nap(100);
		touch();
		while (waitpid(-1, NULL, __WALL | WNOHANG) > 0)
			;
	}
	return arg;
}

static void *ends(void *arg)
{
	nap(chance(20000));
	switch (chance(3)) {
	case 0:
		kill(getpid(), SIGKILL);
		break;
	case 1:
		execl("/bin/true", "true", (char *)NULL);
		break;
	default:
		_exit(0);
	}
	return arg;
}

int main(int argc, char **argv)
{
	begin(argc, argv, 200);
	signal(SIGUSR1, SIG_IGN);
	for (int i = 0; i < 4; i++)
		if (fork_here() == 0) {
			thread(ends);
			thread(clones);
			if (chance(2))
				thread(reader);
			clones(NULL);
			_exit(0);
		}
	reap_all();
	return 0;
}

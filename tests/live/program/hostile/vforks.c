/* vfork children that exec, exit, die, fork or read; parents that die or exit meanwhile. */
#include "hostile.h"

static char *const quick[] = { "/bin/true", NULL };

static void *borrows(void *arg)
{
	while (!over()) {
		volatile unsigned what = chance(7), us = chance(2000);
		volatile pid_t self = getpid();
		volatile pid_t pid = vfork();

		if (pid == 0) {
			if (us & 1)
				usleep(us);
			switch (what) {
			case 0:
				execv(quick[0], quick);
				_exit(1);
			case 1:
				hit(getpid(), SIGKILL);
				_exit(1);
			case 2:
				syscall(SYS_pread64, file, buf, PAGE, 0);
				_exit(1);
			case 3:
				execv("/nowhere", quick);
				_exit(1);
			case 4:
				if (syscall(SYS_fork) == 0)
					execv(quick[0], quick);
				_exit(1);
			case 5:
				if (chance(8) == 0)
					hit(self, SIGKILL);
				_exit(1);
			default:
				_exit(0);
			}
		}
		touch();
		if (chance(2))
			waitpid(pid, NULL, 0);
	}
	return arg;
}

int main(int argc, char **argv)
{
	unsigned seed = begin(argc, argv, 300);

	read_direct();
	if (seed % 2)
		thread(reader);
	for (unsigned i = seed % 3; i; i--)
		thread(borrows);
	if (seed % 5 == 0) {
		/* It leaves while a child still lives in its memory. */
		nap(chance(20000));
		exit(0);
	}
	borrows(NULL);
	reap_all();
	return 0;
}

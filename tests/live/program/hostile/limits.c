/* Limits so low that what uemu needs may fail, and children that meet them. */
#include "hostile.h"

static void set(int what, rlim_t value)
{
	setrlimit(what, &(struct rlimit){ value, value });
}

int main(int argc, char **argv)
{
	unsigned seed = begin(argc, argv, 200);

	if (seed % 2)
		read_direct();
	signal(SIGXFSZ, SIG_IGN);
	if (seed % 3 == 0)
		thread(reader);
	if (chance(2))
		set(RLIMIT_NOFILE, chance(6));
	if (chance(2))
		set(RLIMIT_NPROC, chance(4));
	if (chance(2))
		set(RLIMIT_AS, (rlim_t)chance(64) << 20);
	if (chance(2))
		set(RLIMIT_DATA, (rlim_t)chance(4) << 20);
	if (chance(2))
		set(RLIMIT_FSIZE, chance(2) * 4096);
	if (chance(2))
		set(RLIMIT_STACK, (rlim_t)chance(64) << 12);
	if (chance(3) == 0)
		set(RLIMIT_CPU, 1);
	if (chance(2))
		set(RLIMIT_MEMLOCK, 0);
	if (chance(2))
		set(RLIMIT_SIGPENDING, 0);
	for (int i = 0; i < 8 && !over(); i++) {
		pid_t pid = fork_here();

		if (pid == 0) {
			touch();
			read_direct();
			if (chance(2))
				execl("/bin/true", "true", (char *)NULL);
			_exit(0);
		}
		touch();
		read_direct();
		write_direct();
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
	return 0;
}

/* exec by the leader or by another thread, while others have transfers in flight. */
#include "hostile.h"

static char **words;

static void again(void)
{
	char depth[16];
	static char *const good[] = { "/bin/true", NULL };

	snprintf(depth, sizeof(depth), "%d", atoi(words[2]) - 1);
	if (chance(4) == 0)
		execv("/nowhere", good);
	if (atoi(depth) < 0 || chance(8) == 0)
		execv(good[0], good);
	execl("/proc/self/exe", words[0], words[1], depth, (char *)NULL);
}

static void *execs(void *arg)
{
	nap(chance(5000));
	again();
	return arg;
}

static void *forks(void *arg)
{
	while (!over()) {
		pid_t pid = fork_here();

		if (pid == 0) {
			if (chance(3) == 0)
				again();
			_exit(0);
		}
		touch();
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	return arg;
}

int main(int argc, char **argv)
{
	char *first[] = { argv[0], argc > 1 ? argv[1] : "0", "5", NULL };

	words = argc > 2 ? argv : first;
	begin(argc, argv, 100);
	reseed();
	for (unsigned i = 1 + chance(3); i; i--)
		thread(reader);
	if (chance(2))
		thread(forks);
	if (chance(3))
		thread(execs);
	if (chance(3) == 0)
		thread(execs);
	if (chance(2))
		execs(NULL);
	reader(NULL);
	again();
	return 0;
}

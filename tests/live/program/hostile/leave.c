/* exit_group, thread exit and fatal faults by one thread while others wait in reads. */
#include "hostile.h"

static void *leaves(void *arg)
{
	nap(chance(20000));
	switch (chance(6)) {
	case 0:
		_exit(7);
	case 1:
		exit(8);
	case 2:
		abort();
	case 3:
		munmap(buf, PAGES * PAGE);
		touch();
		abort();
	case 4:
		__builtin_trap();
	default:
		raise(SIGTERM);
	}
	return arg;
}

static void live(void)
{
	signal(SIGABRT, SIG_DFL);
	for (unsigned i = 2 + chance(4); i; i--)
		thread(reader);
	thread(leaves);
	if (chance(3) == 0)
		/* A leader that is gone before its threads. */
		pthread_exit(NULL);
	if (chance(2))
		fork_here();
	reader(NULL);
}

int main(int argc, char **argv)
{
	begin(argc, argv, 200);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	for (int i = 0; i < 3; i++)
		if (fork_here() == 0) {
			live();
			_exit(0);
		}
	if (chance(2))
		live();
	reap_all();
	return 0;
}

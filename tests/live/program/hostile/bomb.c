/* A fork bomb of bounded depth; all read, and end by exit or by a signal. */
#include "hostile.h"

int main(int argc, char **argv)
{
	unsigned depth = 0;

	begin(argc, argv, 500);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	read_direct();
	while (depth < 5 && !over()) {
		if (chance(3) == 0)
			thread(reader);
		for (unsigned i = 1 + chance(2); i; i--)
			if (fork_here() == 0) {
				depth++;
				break;
			} else if (i == 1) {
				depth = 99;
			}
		touch();
		read_direct();
		if (chance(3) == 0)
			kill(getpid(), (int[]){ SIGTERM, SIGKILL, SIGSEGV, SIGUSR1 }[chance(4)]);
	}
	if (chance(2))
		reap_all();
	return 0;
}

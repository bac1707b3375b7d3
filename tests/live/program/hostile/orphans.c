/* Parents that are gone before their children: double forks, sessions, daemons. */
#include "hostile.h"

static void linger(unsigned depth)
{
again:
	while (depth && fork_here() != 0) {
		if (chance(2))
			_exit(0);
		touch();
		depth--;
	}
	if (chance(2))
		setsid();
	for (unsigned i = 0; i < 5; i++) {
		read_direct();
		touch();
		nap(chance(5000));
	}
	if (depth && chance(2)) {
		depth--;
		goto again;
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	begin(argc, argv, 300);
	if (chance(2))
		thread(reader);
	for (unsigned i = 0; i < 4; i++) {
		read_direct();
		if (fork_here() == 0)
			linger(3);
		touch();
	}
	if (chance(2))
		kill(getpid(), SIGKILL);
	return 0;
}

/* SIGSTOP, SIGTSTP and SIGCONT from everybody to everybody; a last SIGCONT or SIGKILL. */
#include "hostile.h"

enum { OTHERS = 4 };

static void live(void)
{
	signal(SIGCONT, chance(2) ? SIG_DFL : SIG_IGN);
	thread(reader);
	if (chance(2))
		thread(reader);
	while (!over()) {
		pid_t self = getpid(), pid;

		read_direct();
		pid = chance(4) ? fork_here() : vfork();
		if (pid == 0) {
			if (chance(4) == 0)
				hit(self, SIGSTOP);
			_exit(0);
		}
		touch();
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	pid_t who[OTHERS];

	begin(argc, argv, 300);
	read_direct();
	for (int i = 0; i < OTHERS; i++) {
		who[i] = fork_here();
		if (who[i] == 0)
			live();
	}
	while (!over()) {
		static const int sigs[] = { SIGSTOP, SIGCONT, SIGTSTP, SIGCONT, SIGTTIN };

		hit(who[chance(OTHERS)], sigs[chance(5)]);
		nap(chance(200));
	}
	nap(1000);
	for (int i = 0; i < OTHERS; i++) {
		nap(chance(2000));
		hit(who[i], chance(3) ? SIGKILL : SIGCONT);
	}
	for (int left = OTHERS; left && !(now() > hostile_end + 3);) {
		if (waitpid(-1, NULL, WNOHANG) > 0)
			left--;
		for (int i = 0; i < OTHERS; i++)
			hit(who[i], SIGCONT);
		nap(500);
	}
	for (int i = 0; i < OTHERS; i++)
		hit(who[i], SIGKILL);
	return 0;
}

/* Signals from an interval timer every 50 us, while it reads, forks and waits. */
#include "hostile.h"

static volatile int ticks;

static void tick(int sig)
{
	char below[3 * PAGE];

	/* Frames of its own, over pages that a fork may have shared. */
	below[ticks++ % sizeof(below)] = (char)sig;
	__asm__ volatile("" : : "r"(below) : "memory");
}

int main(int argc, char **argv)
{
	unsigned seed = begin(argc, argv, 300);
	struct itimerval each = { { 0, 50 }, { 0, 50 } };
	struct sigaction action = { .sa_handler = tick, .sa_flags = seed % 2 ? SA_RESTART : 0 };
	stack_t alternate = { .ss_sp = pages(8), .ss_size = 8 * PAGE };

	if (seed % 3 == 0) {
		sigaltstack(&alternate, NULL);
		action.sa_flags |= SA_ONSTACK;
	}
	sigaction(SIGALRM, &action, NULL);
	if (seed % 4)
		thread(reader);
	setitimer(ITIMER_REAL, &each, NULL);
	while (!over()) {
		read_direct();
		if (chance(3) == 0) {
			pid_t pid = fork_here();

			if (pid == 0) {
				touch();
				read_direct();
				_exit(0);
			}
			touch();
			while (chance(4) && waitpid(-1, NULL, WNOHANG) > 0)
				;
		}
	}
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	reap_all();
	return 0;
}

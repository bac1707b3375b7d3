/* All signals blocked, SIGSEGV and SIGTRAP too, and handlers for everything; all sent. */
#include "hostile.h"

static void ignore(int sig)
{
	(void)sig;
	touch();
}

static void *sends(void *arg)
{
	while (!over()) {
		int sig = 1 + (int)chance(64);

		if (sig != SIGKILL && sig != SIGSTOP && sig != SIGALRM)
			kill(getpid(), sig);
		nap(chance(100));
	}
	return arg;
}

int main(int argc, char **argv)
{
	unsigned seed = begin(argc, argv, 300);
	sigset_t all;

	for (int sig = 1; sig <= 64; sig++)
		if (seed % 3 && sig != SIGALRM)
			signal(sig, seed % 3 == 1 ? ignore : SIG_IGN);
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	if (seed % 2)
		pthread_sigmask(SIG_BLOCK, &all, NULL);
	thread(reader);
	if (seed % 4)
		thread(sends);
	while (!over()) {
		pid_t pid = fork_here();
		struct timespec soon = { 0, 100000 };

		if (pid == 0) {
			touch();
			_exit(0);
		}
		touch();
		read_direct();
		if (seed % 2)
			sigtimedwait(&all, NULL, &soon);
		waitpid(pid, NULL, 0);
	}
	return 0;
}

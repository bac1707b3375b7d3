/* Processes that SIGKILL themselves, their siblings or their parent at any moment. */
#include "hostile.h"

enum { SIBLINGS = 6 };
static pid_t *who;

static void *killer(void *arg)
{
	nap(chance(30000));
	hit(chance(3) ? who[chance(SIBLINGS)] : getpid(), SIGKILL);
	return arg;
}

static void live(void)
{
	thread(killer);
	thread(reader);
	if (chance(2))
		thread(reader);
	while (!over()) {
		pid_t self = getpid(), pid = chance(3) ? fork_here() : vfork();

		if (pid == 0) {
			if (chance(2))
				hit(self, SIGKILL);
			_exit(0);
		}
		touch();
		read_direct();
	}
}

int main(int argc, char **argv)
{
	begin(argc, argv, 200);
	who = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < SIBLINGS; i++)
		who[i] = getpid();
	read_direct();
	for (int i = 0; i < SIBLINGS; i++) {
		pid_t pid = fork_here();

		if (pid == 0) {
			live();
			_exit(0);
		}
		if (pid > 0)
			who[i] = pid;
	}
	if (chance(2))
		live();
	reap_all();
	return 0;
}

/* Descriptors closed, replaced and limited away while transfers through them are in flight. */
#include "hostile.h"

static void *closes(void *arg)
{
	while (!over()) {
		int other;

		nap(chance(500));
		switch (chance(5)) {
		case 0:
			close(file);
			break;
		case 1:
			other = open("/dev/null", O_RDWR);
			dup2(other, file);
			close(other);
			break;
		case 2:
			syscall(SYS_close_range, 0U, ~0U, 0U);
			break;
		case 3:
			fcntl(file, F_SETFL, chance(2) ? O_DIRECT : 0);
			break;
		default:
			setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 4 + chance(60), 1024 });
		}
		other = open("data", O_RDWR | O_DIRECT);
		if (other >= 0 && other != file) {
			dup2(other, file);
			close(other);
		}
	}
	return arg;
}

static void *forks(void *arg)
{
	while (!over()) {
		pid_t pid = fork_here();

		if (pid == 0) {
			closefrom(0);
			touch();
			read_direct();
			_exit(0);
		}
		waitpid(pid, NULL, 0);
		nap(chance(2000));
	}
	return arg;
}

int main(int argc, char **argv)
{
	unsigned seed = begin(argc, argv, 300);

	thread(reader);
	thread(closes);
	if (seed % 2)
		thread(forks);
	reader(NULL);
	if (seed % 3 == 0)
		closefrom(0);
	return 0;
}

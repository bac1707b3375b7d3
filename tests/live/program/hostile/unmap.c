/* The buffer is unmapped, moved, protected or replaced while reads into it are in flight. */
#include "hostile.h"

static void *changes(void *arg)
{
	char *room = pages(2 * PAGES), *at;

	while (!over()) {
		size_t length = (1 + chance(3)) * PAGE;

		at = buf + chance(PAGES - 3) * PAGE;
		switch (chance(9)) {
		case 0:
			munmap(at, length);
			nap(chance(300));
			/* fall through */
		case 1:
			mmap(at, length, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			break;
		case 2:
			mprotect(at, length, PROT_READ);
			nap(chance(300));
			mprotect(at, length, PROT_READ | PROT_WRITE);
			break;
		case 3:
			mprotect(at, length, PROT_NONE);
			nap(chance(300));
			mprotect(at, length, PROT_READ | PROT_WRITE);
			break;
		case 4:
			if (mremap(at, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, room) == room) {
				room[0] = 'z';
				mremap(room, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, at);
			}
			break;
		case 5:
			madvise(at, length, chance(2) ? MADV_DONTNEED : MADV_FREE);
			break;
		case 6:
			madvise(at, length, chance(2) ? MADV_DONTFORK : MADV_DOFORK);
			break;
		case 7:
			madvise(at, length, chance(2) ? MADV_WIPEONFORK : MADV_KEEPONFORK);
			break;
		default:
			mmap(at, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0);
		}
	}
	return arg;
}

static void *forks(void *arg)
{
	while (!over()) {
		pid_t pid = fork_here();

		if (pid == 0) {
			read_direct();
			touch();
			if (chance(2))
				munmap(buf, PAGES * PAGE);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	return arg;
}

static void *reads(void *arg)
{
	while (!over()) {
		read_direct();
		write_direct();
	}
	return arg;
}

static void survives(int sig)
{
	(void)sig;
	/* Whoever touches what is not there tries again until it is, or time is over. */
	if (over())
		_exit(0);
}

int main(int argc, char **argv)
{
	unsigned seed = begin(argc, argv, 300);

	if (seed % 4) {
		signal(SIGSEGV, survives);
		signal(SIGBUS, survives);
	}
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	thread(reads);
	thread(changes);
	if (seed % 2)
		thread(changes);
	if (seed % 3)
		thread(forks);
	reads(NULL);
	reap_all();
	return 0;
}

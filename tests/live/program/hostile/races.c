/*
 * Moments that uemu once got wrong, each made to happen by its order alone as
 * far as that can be. A name chooses one; 0 if all is as it is without uemu.
 *
 * usage: races NAME, in a folder with a file `data` of 64 KiB or more
 */
#include "hostile.h"

static int pipes[2];

static void *reads_on(void *arg)
{
	for (int i = 0; i < 30; i++) {
		read_direct();
		nap(2000);
	}
	return arg;
}

static int lasts(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++) {
		touch();
		read_direct();
		nap(2000);
	}
	_exit(0);
}

/* A parent that waits for its child in the kernel cannot be stopped meanwhile. */
static int vfork_without_vm(void)
{
	pthread_t reader_thread;
	int status;
	pid_t pid;

	pthread_create(&reader_thread, NULL, reads_on, NULL);
	nap(5000);
	pid = clone(lasts, pages(8) + 8 * PAGE, CLONE_VFORK | SIGCHLD, NULL);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	pthread_join(reader_thread, NULL);
	return status;
}

static void *outlives_its_leader(void *arg)
{
	char byte;
	pid_t pid;

	/* End of file: never, but the leader is gone by then. */
	nap(20000);
	reads_on(NULL);
	pid = fork();
	if (pid == 0)
		_exit(read(pipes[0], &byte, 0) != 0);
	touch();
	waitpid(pid, NULL, 0);
	read_direct();
	_exit(0);
	return arg;
}

/* A leader that is dead reports nothing while its threads live. */
static int dead_leader(void)
{
	pthread_t t;

	pthread_create(&t, NULL, outlives_its_leader, NULL);
	pthread_exit(NULL);
}

static int exits(void *arg)
{
	(void)arg;
	_exit(0);
}

/* Who is not traced would live on in memory that nobody looks after. */
static int untraced(void)
{
	read_direct();
	if (clone(exits, pages(8) + 8 * PAGE, CLONE_UNTRACED | SIGCHLD, NULL) >= 0)
		return 1;
	return errno != EPERM;
}

static void *reads(void *length)
{
	ssize_t count = pread(file, buf, (size_t)length, 0);

	return (void *)(count == (ssize_t)length || errno == EFAULT ? NULL : buf);
}

/* A read waits for one of its pages while the other goes away. */
static int unmapped_in_flight(void)
{
	pthread_t threads[2];
	void *result;

	for (size_t i = 0; i < 2; i++) {
		pthread_create(&threads[i], NULL, reads, (void *)((i + 1) * PAGE));
		nap(10000);
	}
	munmap(buf + PAGE, PAGE);
	for (int i = 0; i < 2; i++)
		if (pthread_join(threads[i], &result) || result)
			return 1;
	return 0;
}

static void *execs(void *arg)
{
	execl("/bin/true", "true", (char *)NULL);
	return arg;
}

static void *forks_on(void *arg)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		touch();
		waitpid(pid, NULL, 0);
	}
	return arg;
}

/* A thread is killed by exec at the moment that it forks. */
static int exec_in_fork(void)
{
	pthread_t t;

	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			read_direct();
			thread(reader);
			thread(forks_on);
			nap(500 * (unsigned)i);
			pthread_create(&t, NULL, execs, NULL);
			pthread_exit(NULL);
		}
		if (waitpid(pid, NULL, 0) != pid)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} all[] = {
		{ "vfork-without-vm", vfork_without_vm },
		{ "dead-leader", dead_leader },
		{ "untraced", untraced },
		{ "unmapped-in-flight", unmapped_in_flight },
		{ "exec-in-fork", exec_in_fork },
	};
	const char *name = argc > 1 ? argv[1] : "";

	begin(0, argv, 1000);
	if (pipe(pipes))
		return 2;
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(name, all[i].name))
			return all[i].run();
	return 2;
}

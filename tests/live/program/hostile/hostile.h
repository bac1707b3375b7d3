/*
 * What the hostile programs share. Each is one kind of hostility, chosen in
 * detail by a seed; none of them says whether anything worked, and all of
 * them come to an end on any kernel: `over()` is true soon, and alarm(2)
 * ends a process that got stuck by its own doing.
 *
 * usage: PROGRAM SEED, in a folder with a file `data` of 64 KiB or more
 */
#ifndef HOSTILE_H
#define HOSTILE_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 8, AT_MOST_S = 10 };

static volatile uint64_t hostile_state;
static double hostile_end;
static int file = -1;
static char *buf;

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline unsigned chance(unsigned below)
{
	/* Threads that race for the state make it only more random. */
	uint64_t x = hostile_state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	hostile_state = x;
	return (unsigned)(x >> 33) % below;
}

/* A child takes another way than its parent. */
static inline void reseed(void)
{
	hostile_state ^= (uint64_t)getpid() * 0x9e3779b97f4a7c15ULL;
	hostile_state |= 1;
}

static inline int over(void)
{
	return now() > hostile_end;
}

static inline void nap(unsigned us)
{
	struct timespec t = { 0, (long)us * 1000 };

	nanosleep(&t, NULL);
}

static inline char *pages(int count)
{
	char *p = mmap(NULL, (size_t)count * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(3);
	memset(p, 'x', (size_t)count * PAGE);
	return p;
}

static inline void read_direct(void)
{
	unsigned at = chance(PAGES);

	if (pread(file, buf + at * PAGE, PAGE * (1 + chance(2) * (at + 1 < PAGES)), at * PAGE) < 0 &&
	    errno == EBADF)
		nap(200);
}

static inline void write_direct(void)
{
	unsigned at = chance(PAGES);

	if (pwrite(file, buf + at * PAGE, PAGE, at * PAGE) < 0 && errno == EBADF)
		nap(200);
}

static inline void touch(void)
{
	buf[chance(PAGES) * PAGE + chance(PAGE)] = 'y';
}

static inline void *reader(void *arg)
{
	while (!over()) {
		read_direct();
		if (chance(4) == 0)
			write_direct();
		touch();
	}
	return arg;
}

static inline pthread_t thread(void *(*f)(void *))
{
	pthread_t t = 0;

	if (pthread_create(&t, NULL, f, NULL))
		return 0;
	pthread_detach(t);
	return t;
}

static inline pid_t fork_here(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(AT_MOST_S);
		reseed();
	}
	return pid;
}

/*
 * To a process of ours only: never to -1, and never to who is a parent by
 * adoption, so getppid() is not asked.
 */
static inline void hit(pid_t pid, int sig)
{
	if (pid > 1)
		syscall(SYS_kill, pid, sig);
}

static inline void reap_all(void)
{
	while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
		;
}

/* Read the seed, open the file, have a buffer, and be over after so long. */
static inline unsigned begin(int argc, char **argv, unsigned ms)
{
	unsigned seed = argc > 1 ? (unsigned)atoi(argv[1]) : 0;

	hostile_state = (seed + 1) * 0x9e3779b97f4a7c15ULL;
	for (int i = 0; i < 8; i++)
		chance(2);
	alarm(AT_MOST_S);
	hostile_end = now() + ms / 1e3;
	file = open("data", O_RDWR | O_DIRECT | O_CLOEXEC);
	if (file < 0) {
		perror("data");
		exit(2);
	}
	buf = pages(PAGES);
	return seed;
}

#endif

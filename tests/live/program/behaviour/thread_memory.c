/*
 * Threads whose stack, TLS and tid words lie in pages that devices had to do
 * with: they run, end and are joined, and what they held is given free.
 *
 * It runs itself without restartable sequences, which are another matter.
 */
#define _GNU_SOURCE
#include "behaviour.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>

enum { NR = 16, FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM };

static int gate[2];
static __thread volatile int own = 7;

/* Calls without errno: a thread of clone(2) has its maker's. */
static long raw(long nr, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "0"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

static int go_deep(volatile int depth)
{
	volatile char room[256];

	room[0] = (char)depth;
	return depth ? go_deep(depth - 1) + room[0] : 0;
}

static volatile int found;

/* A thread that no library knows of. */
static int bare(void *arg)
{
	char byte;

	(void)arg;
	while (raw(SYS_read, gate[0], (long)&byte, 1) != 1)
		;
	found = go_deep(20);
	raw(SYS_exit, 0, 0, 0);
	return 0;
}

static void wait_for_zero(_Atomic int *word)
{
	struct timespec long_enough = { 5, 0 };
	int tid;

	while ((tid = *word)) {
		if (syscall(SYS_futex, word, FUTEX_WAIT, tid, &long_enough, NULL, 0) == 0)
			continue;
		CHECK(errno == EAGAIN || errno == EINTR);
	}
}

/* ---- memory that threads have, in states like an arena's; devices only read it ---- */

static struct iovec all[NR];
static struct iocb iocb;
static aio_context_t context;
static pid_t child;
static int direct, child_gate[2];

static void bring_to(unsigned char *pages, enum way way)
{
	struct iocb *iocbs[] = { &iocb };
	char byte;

	direct = open_data(O_DIRECT);
	context = child = 0;
	for (int i = 0; i < NR; i++)
		all[i] = (struct iovec){ pages + i * PAGE, PAGE };
	if (way >= READ)
		CHECK(pwritev(direct, all, NR, 0) == NR * PAGE);
	iocb = (struct iocb){ .aio_lio_opcode = IOCB_CMD_PWRITEV, .aio_fildes = (uint32_t)direct,
			      .aio_buf = (uintptr_t)all, .aio_nbytes = NR };
	if (way >= FLYING && way <= FORKED_WRITE) {
		CHECK(syscall(SYS_io_setup, 1, &context) == 0);
		CHECK(syscall(SYS_io_submit, context, 1, iocbs) == 1);
	}
	if (way >= FORKED_READ) {
		CHECK(pipe(child_gate) == 0);
		child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			close(child_gate[1]);
			while (read(child_gate[0], &byte, 1) < 0)
				CHECK(errno == EINTR);
			_exit(0);
		}
		close(child_gate[0]);
	}
	if (way == SHARED)
		CHECK(pwritev(direct, all, NR, 0) == NR * PAGE);
}

static void let_go(void)
{
	struct io_event event;

	if (child) {
		close(child_gate[1]);
		CHECK(status_of(child) == 0);
	}
	if (context) {
		CHECK(syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL) == 1);
		CHECK(event.res == NR * PAGE && syscall(SYS_io_destroy, context) == 0);
	}
	close(direct);
}

/* ---- threads --------------------------------------------------------------------------- */

/* The tid word is cleared and its waiter woken when a thread ends. */
static void bare_thread(unsigned char *pages, enum way way)
{
	_Atomic int *tid = (_Atomic int *)(pages + 64);
	volatile int *word = (volatile int *)(pages + PAGE);
	int pid;

	pid = clone(bare, pages + (NR - 1) * PAGE, FLAGS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
		    NULL, tid, NULL, tid);
	CHECK(pid > 0 && *tid == pid);
	bring_to(pages, way);
	CHECK(write(gate[1], "", 1) == 1);
	wait_for_zero(tid);
	printf("bare: cleared, %d deep\n", found);
	*word = 0;
	pid = (int)syscall(SYS_clone, SIGCHLD | CLONE_CHILD_SETTID, NULL, NULL, word, NULL);
	if (pid == 0)
		_exit(*word == (int)syscall(SYS_gettid) ? 4 : 5);
	CHECK(pid > 0 && *word == 0);
	printf("bare: a child that knows itself, %d\n", WEXITSTATUS(status_of(pid)));
	let_go();
}

static pthread_mutex_t *robust;
static pthread_barrier_t barrier;

static void *holder(void *arg)
{
	volatile char room[1000] = { 0 };
	char byte;
	pid_t pid;

	(void)arg;
	CHECK(own == 7);
	own = 8;
	CHECK(pthread_mutex_lock(robust) == 0);
	pthread_barrier_wait(&barrier);
	CHECK(read(gate[0], &byte, 1) == 1);
	CHECK(go_deep(20) == 210 && own == 8 && room[999] == 0);
	errno = EDOM;
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		/* It knows who it is. */
		CHECK(own == 8 && getpid() == (pid_t)syscall(SYS_gettid));
		CHECK(pthread_kill(pthread_self(), 0) == 0);
		CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR && raise(SIGUSR1) == 0);
		raise(SIGTERM);
		_exit(1);
	}
	CHECK(WTERMSIG(status_of(pid)) == SIGTERM);
	own = 9;
	return (void *)(intptr_t)own;
}

/* A mutex whose owner ends says so. */
static void library_thread(unsigned char *pages, enum way way)
{
	pthread_mutexattr_t kind;
	pthread_attr_t where;
	pthread_t thread;
	void *result;

	robust = (pthread_mutex_t *)(pages + 128);
	CHECK(pthread_mutexattr_init(&kind) == 0);
	CHECK(pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0);
	CHECK(pthread_mutex_init(robust, &kind) == 0);
	CHECK(pthread_attr_init(&where) == 0);
	CHECK(pthread_attr_setstack(&where, pages + PAGE, (NR - 1) * PAGE) == 0);
	CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0);
	CHECK(pthread_create(&thread, &where, holder, NULL) == 0);
	pthread_barrier_wait(&barrier);
	CHECK(own == 7);
	bring_to(pages, way);
	CHECK(write(gate[1], "", 1) == 1);
	CHECK(pthread_join(thread, &result) == 0);
	printf("library: joined, %ld\n", (long)(intptr_t)result);
	CHECK(pthread_mutex_lock(robust) == EOWNERDEAD);
	CHECK(pthread_mutex_consistent(robust) == 0 && pthread_mutex_unlock(robust) == 0);
	printf("library: its mutex is free\n");
	let_go();
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	if (!getenv("GLIBC_TUNABLES")) {
		CHECK(setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1) == 0);
		execl("/proc/self/exe", "thread_memory", NULL);
		return 1;
	}
	CHECK(pipe(gate) == 0);
	for (int way = 0; way < WAYS; way++) {
		unsigned char *pages = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(pages != MAP_FAILED);
		printf("== %s\n", way_name[way]);
		bare_thread(pages, (enum way)way);
		library_thread(pages, (enum way)way);
		munmap(pages, NR * PAGE);
	}
	puts("EXIT-SUCCESS");
	return 0;
}

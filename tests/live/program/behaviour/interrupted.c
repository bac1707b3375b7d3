/*
 * EINTR comes exactly when a handler ran: not because of forks and transfers of
 * others in the process, not for signals that are ignored.
 */
#define _GNU_SOURCE
#include "behaviour.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/socket.h>

enum { NR = 4, CALLS = 10 };

static const char *const names[CALLS] = {
	"epoll_wait", "sigtimedwait", "nanosleep", "poll", "select",
	"recv with a timeout", "io_getevents", "msgrcv", "clock_nanosleep until", "pause",
};

static struct arena *arena;
static int epoll, pair[2], queue;
static aio_context_t context;

/* So long a call lasts that nothing ends. Who is to be interrupted has time enough for that. */
static int patience_ms;
enum { SHORT = 150, LONG = 60000 };

static void nothing(int sig)
{
	(void)sig;
}

/* Make a call that nothing ends before patience_ms have passed; its errno, or 0. */
static int call(int which)
{
	struct timespec time = { patience_ms / 1000, patience_ms % 1000 * 1000000L }, at;
	struct epoll_event event;
	struct io_event events[1];
	struct timeval tv = { patience_ms / 1000, patience_ms % 1000 * 1000L };
	struct { long type; char text[8]; } message;
	sigset_t set;
	fd_set fds;
	char byte;
	long result = 0;

	errno = 0;
	switch (which) {
	case 0:
		result = epoll_wait(epoll, &event, 1, patience_ms);
		break;
	case 1:
		sigemptyset(&set);
		sigaddset(&set, SIGUSR2);
		result = sigtimedwait(&set, NULL, &time);
		break;
	case 2:
		result = nanosleep(&time, NULL);
		break;
	case 3:
		result = poll(NULL, 0, patience_ms);
		break;
	case 4:
		FD_ZERO(&fds);
		FD_SET(pair[0], &fds);
		result = select(pair[0] + 1, &fds, NULL, NULL, &tv);
		break;
	case 5:
		CHECK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
		result = recv(pair[0], &byte, 1, 0);
		break;
	case 6:
		result = syscall(SYS_io_getevents, context, 1L, 1L, events, &time);
		break;
	case 7:
		/* Without a timeout: the kicker sends, if nothing interrupts it. */
		result = msgrcv(queue, &message, 8, 0, 0);
		break;
	case 8:
		CHECK(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
		at.tv_sec += time.tv_sec + (at.tv_nsec += time.tv_nsec) / 1000000000;
		at.tv_nsec %= 1000000000;
		errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		result = errno ? -1 : 0;
		break;
	case 9:
		result = pause();
	}
	return result < 0 ? errno : 0;
}

static void *sleeper(void *arg)
{
	int which = (int)(intptr_t)arg, err;
	long start = now_ms(), took;

	err = call(which);
	took = now_ms() - start;
	/* Neither sooner nor much later. */
	CHECK(err == EINTR || which == 7 || took >= patience_ms - 1);
	CHECK(took < 20000);
	return (void *)(intptr_t)err;
}

/* What a tracer may disturb others for. */
static void disturb(void)
{
	for (int i = 0; i < 4; i++) {
		pid_t pid;

		CHECK(pread(arena->direct, arena_page(arena, 0) + TAIL, SECTOR, 0) == SECTOR);
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0)
			_exit(0);
		/* SIGCHLD is ignored by default. */
		CHECK(status_of(pid) == 0);
		memset(arena_page(arena, i % NR), i, 64);
		sleep_ms(10);
	}
}

static void behave(struct arena *given)
{
	struct { long type; char text[8]; } message = { 1, "message" };
	struct sigaction handler = { .sa_handler = nothing }, before;
	pthread_t threads[CALLS];
	sigset_t usr2;
	void *err;

	arena = given;
	/* sigtimedwait(2) is for signals that are blocked. */
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	CHECK(pthread_sigmask(SIG_BLOCK, &usr2, NULL) == 0);
	CHECK(sigaction(SIGUSR1, &handler, &before) == 0);
	epoll = epoll_create1(0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	context = 0;
	CHECK(syscall(SYS_io_setup, 1, &context) == 0);
	queue = msgget(IPC_PRIVATE, 0600);
	CHECK(queue >= 0);

	patience_ms = SHORT;
	for (intptr_t i = 0; i < CALLS - 1; i++)
		CHECK(pthread_create(&threads[i], NULL, sleeper, (void *)i) == 0);
	sleep_ms(10);
	disturb();
	sleep_ms(100);
	CHECK(msgsnd(queue, &message, 8, 0) == 0);
	for (int i = 0; i < CALLS - 1; i++) {
		CHECK(pthread_join(threads[i], &err) == 0);
		printf("%s, disturbed: %s\n", names[i], err ? strerrorname_np((int)(intptr_t)err) : "0");
	}

	patience_ms = LONG;
	for (intptr_t i = 0; i < CALLS; i++)
		CHECK(pthread_create(&threads[i], NULL, sleeper, (void *)i) == 0);
	sleep_ms(30);
	for (int i = 0; i < CALLS; i++) {
		/* On a busy machine it may not be in its call yet. */
		while (pthread_tryjoin_np(threads[i], &err)) {
			CHECK(pthread_kill(threads[i], SIGUSR1) == 0);
			sleep_ms(2);
		}
		printf("%s, with a handler: %s\n", names[i], strerrorname_np((int)(intptr_t)err));
	}

	patience_ms = SHORT;
	CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	for (intptr_t i = 0; i < CALLS - 1; i++)
		CHECK(pthread_create(&threads[i], NULL, sleeper, (void *)i) == 0);
	sleep_ms(30);
	for (int i = 0; i < CALLS - 1; i++)
		CHECK(pthread_kill(threads[i], SIGUSR1) == 0);
	sleep_ms(100);
	CHECK(msgsnd(queue, &message, 8, 0) == 0);
	for (int i = 0; i < CALLS - 1; i++) {
		CHECK(pthread_join(threads[i], &err) == 0);
		printf("%s, ignored: %s\n", names[i], err ? strerrorname_np((int)(intptr_t)err) : "0");
	}
	CHECK(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
	CHECK(msgctl(queue, IPC_RMID, NULL) == 0);
	CHECK(syscall(SYS_io_destroy, context) == 0);
	close(epoll), close(pair[0]), close(pair[1]);
}

int main(void)
{
	return in_every_way(NR, behave);
}

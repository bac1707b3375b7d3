/* What the kernel writes arrives, wherever it points. Each call has a page of its own. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <dirent.h>

enum { NR = 60 };

static struct arena *arena;
static int used;

/* The middle of the next page. */
static void *fresh(void)
{
	unsigned char *at = arena_page(arena, used++) + 1024;

	CHECK(used <= NR);
	return at;
}

static bool is_unchanged(int page)
{
	return is_filled(arena_page(arena, page), head_byte(page), TAIL);
}

static void files(void)
{
	int ends[2], fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct stat *st = fresh(), *st2 = fresh();
	struct iovec iov[2] = { { fresh(), 4 }, { fresh(), 4 } };
	char *text;
	struct statfs *space;
	off_t *offset;
	uint64_t *number;
	int *fds = fresh(), *count;

	CHECK(fd >= 0 && write(fd, "contents", 8) == 8);
	CHECK(fstat(fd, st) == 0 && st->st_size == 8);
	CHECK(stat("file", st2) == 0 && st2->st_size == 8 && st2->st_ino == st->st_ino);
	CHECK(preadv(fd, iov, 2, 0) == 8);
	CHECK(!memcmp(iov[0].iov_base, "cont", 4) && !memcmp(iov[1].iov_base, "ents", 4));
	text = fresh();
	CHECK(pread(fd, text, 100, 1) == 7 && !memcmp(text, "ontents", 7));
	text = fresh();
	CHECK(getcwd(text, 1000) && text[0] == '/' && strlen(text) > 1);
	CHECK(symlink("target", "link") == 0);
	text = fresh();
	CHECK(readlink("link", text, 100) == 6 && !memcmp(text, "target", 6));
	CHECK(unlink("link") == 0);

	CHECK(syscall(SYS_pipe2, fds, O_CLOEXEC) == 0 && fds[0] > 2 && fds[1] > fds[0]);
	memcpy(ends, fds, sizeof(ends));
	CHECK(write(ends[1], "through", 7) == 7);
	count = fresh();
	CHECK(ioctl(ends[0], FIONREAD, count) == 0 && *count == 7);
	text = fresh();
	CHECK(read(ends[0], text, 100) == 7 && !memcmp(text, "through", 7));
	offset = fresh();
	*offset = 2;
	CHECK(syscall(SYS_sendfile, ends[1], fd, offset, 3) == 3 && *offset == 5);
	text = fresh();
	CHECK(read(ends[0], text, 100) == 3 && !memcmp(text, "nte", 3));
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);

	fd = eventfd(41, 0);
	number = fresh();
	CHECK(read(fd, number, 8) == 8 && *number == 41);
	CHECK(close(fd) == 0 && unlink("file") == 0);
	space = fresh();
	CHECK(statfs("/proc", space) == 0 && space->f_bsize == 4096);
	fd = open("/proc/self", O_RDONLY | O_DIRECTORY);
	text = fresh();
	CHECK(syscall(SYS_getdents64, fd, text, 1000) > 24 && ((struct dirent64 *)text)->d_name[0] == '.');
	CHECK(close(fd) == 0);
}

static void sockets(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX }, *peer = fresh(), *who = fresh();
	socklen_t *length = fresh();
	int *pair = fresh(), *type = fresh();
	char *text, *control = fresh();
	struct iovec iov = { fresh(), 100 };
	struct msghdr *message = fresh();
	int sent[2], listener, client, server, one;
	struct cmsghdr *head;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pair[0] > 2 && pair[1] > pair[0]);
	memcpy(sent, pair, sizeof(sent));
	CHECK(send(sent[0], "hello", 5, 0) == 5);
	text = fresh();
	CHECK(recv(sent[1], text, 100, 0) == 5 && !memcmp(text, "hello", 5));
	*length = 4;
	CHECK(getsockopt(sent[0], SOL_SOCKET, SO_TYPE, type, length) == 0);
	CHECK(*type == SOCK_STREAM && *length == 4);

	/* A message with a descriptor. */
	{
		char room[CMSG_SPACE(sizeof(int))] = { 0 };
		struct iovec out = { "message", 7 };
		struct msghdr hdr = { .msg_iov = &out, .msg_iovlen = 1,
				      .msg_control = room, .msg_controllen = sizeof(room) };

		head = CMSG_FIRSTHDR(&hdr);
		*head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(head), &sent[0], sizeof(int));
		CHECK(sendmsg(sent[0], &hdr, 0) == 7);
	}
	*message = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				    .msg_controllen = 200, .msg_flags = -1 };
	CHECK(recvmsg(sent[1], message, 0) == 7 && !memcmp(iov.iov_base, "message", 7));
	CHECK(message->msg_flags == 0 && message->msg_controllen == CMSG_SPACE(sizeof(int)));
	memcpy(&one, CMSG_DATA(CMSG_FIRSTHDR(message)), sizeof(one));
	CHECK(one > sent[1] && close(one) == 0);

	/* An address of its own, and whence something came. */
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(name.sun_path, "\0uemu-behaviour-", 16);
	snprintf(name.sun_path + 16, 20, "%d", getpid());
	CHECK(bind(listener, (struct sockaddr *)&name, sizeof(name)) == 0 && listen(listener, 1) == 0);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(bind(client, (struct sockaddr *)&(struct sockaddr_un){ .sun_family = AF_UNIX }, 2) == 0);
	CHECK(connect(client, (struct sockaddr *)&name, sizeof(name)) == 0);
	length = fresh();
	*length = 110;
	server = accept(listener, (struct sockaddr *)peer, length);
	CHECK(server >= 0 && *length == 8 && peer->sun_family == AF_UNIX && !peer->sun_path[0]);
	length = fresh();
	*length = 110;
	CHECK(getpeername(client, (struct sockaddr *)who, length) == 0 && *length == sizeof(name));
	CHECK(!memcmp(who, &name, sizeof(name)));
	close(listener), close(client), close(server), close(sent[0]), close(sent[1]);
}

static void waiting(void)
{
	struct pollfd *polled = fresh();
	struct epoll_event *happened = fresh(), wanted = { EPOLLIN, { .u64 = 0x1234567890 } };
	struct signalfd_siginfo *info = fresh();
	siginfo_t *waited = fresh();
	fd_set *set = fresh();
	sigset_t usr1, *old = fresh(), *pending = fresh();
	struct rusage *usage = fresh();
	int *status = fresh(), ends[2], epoll = epoll_create1(0), signals;
	uint64_t *ticks = fresh();
	pid_t pid;

	CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
	*polled = (struct pollfd){ ends[0], POLLIN, -1 };
	CHECK(poll(polled, 1, 1000) == 1 && polled->revents == POLLIN);
	FD_ZERO(set);
	FD_SET(ends[0], set);
	FD_SET(ends[1], set);
	CHECK(select(ends[1] + 1, set, NULL, NULL, NULL) == 1);
	CHECK(FD_ISSET(ends[0], set) && !FD_ISSET(ends[1], set));
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &wanted) == 0);
	CHECK(epoll_wait(epoll, happened, 10, 1000) == 1);
	CHECK(happened->events == EPOLLIN && happened->data.u64 == 0x1234567890);

	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(9);
	CHECK(waitid(P_PID, (id_t)pid, waited, WEXITED | WNOWAIT) == 0);
	CHECK(waited->si_pid == pid && waited->si_status == 9 && waited->si_code == CLD_EXITED);
	CHECK(wait4(pid, status, 0, usage) == pid && *status == 9 << 8);
	CHECK(usage->ru_maxrss > 0 && usage->ru_maxrss < 1 << 30);

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &usr1, old, 8) == 0 && !sigismember(old, SIGUSR1));
	CHECK(raise(SIGUSR1) == 0);
	CHECK(syscall(SYS_rt_sigpending, pending, 8) == 0 && sigismember(pending, SIGUSR1));
	signals = signalfd(-1, &usr1, 0);
	CHECK(read(signals, info, sizeof(*info)) == sizeof(*info));
	CHECK(info->ssi_signo == SIGUSR1 && info->ssi_pid == (uint32_t)getpid());
	CHECK(raise(SIGUSR1) == 0);
	waited = fresh();
	CHECK(sigwaitinfo(&usr1, waited) == SIGUSR1 && waited->si_pid == getpid());
	CHECK(sigprocmask(SIG_UNBLOCK, &usr1, NULL) == 0);
	close(ends[0]), close(ends[1]), close(epoll), close(signals);

	ends[0] = timerfd_create(CLOCK_MONOTONIC, 0);
	CHECK(timerfd_settime(ends[0], 0, &(struct itimerspec){ .it_value = { 0, 1000 } }, NULL) == 0);
	CHECK(read(ends[0], ticks, 8) == 8 && *ticks == 1);
	close(ends[0]);
}

static void process(void)
{
	struct timespec *now = fresh(), other;
	struct utsname *names = fresh();
	struct sigaction *action = fresh();
	struct rlimit *limit = fresh();
	unsigned char *random = fresh(), *resident = fresh();
	char *name = fresh();
	uint32_t *ids = fresh();
	uint64_t *cpus = fresh(), *base = fresh();

	CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, now) == 0);
	CHECK(clock_gettime(CLOCK_MONOTONIC, &other) == 0 && other.tv_sec - now->tv_sec < 5);
	CHECK(uname(names) == 0 && !strcmp(names->sysname, "Linux"));
	CHECK(syscall(SYS_rt_sigaction, SIGUSR2, NULL, action, 8) == 0 && action->sa_handler == SIG_DFL);
	CHECK(syscall(SYS_getrlimit, RLIMIT_CORE, limit) == 0 && limit->rlim_cur <= limit->rlim_max);
	memset(random, 0, 64);
	CHECK(syscall(SYS_getrandom, random, 64, 0) == 64 && !is_filled(random, 0, 64));
	memset(resident, 0x77, 2);
	CHECK(mincore(arena_page(arena, used - 1), PAGE, resident) == 0 && *resident == 1);
	CHECK(resident[1] == 0x77);
	CHECK(syscall(SYS_prctl, 16, name, 0, 0, 0) == 0 && !strcmp(name, "outputs"));
	CHECK(syscall(SYS_getresuid, ids, ids + 1, ids + 2) == 0 && ids[0] == getuid() && ids[2] == geteuid());
	CHECK(syscall(SYS_sched_getaffinity, 0, 128, cpus) >= 8 && *cpus);
	CHECK(syscall(SYS_arch_prctl, 0x1003, base) == 0 && *base);
}

static void aio(void)
{
	struct io_event *event = fresh();
	aio_context_t *context = fresh();
	struct iocb iocb = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)open_data(0),
			     .aio_buf = (uintptr_t)fresh(), .aio_nbytes = 100, .aio_data = 5 };
	struct iocb *iocbs[] = { &iocb };

	*context = 0;
	CHECK(syscall(SYS_io_setup, 1, context) == 0 && *context);
	CHECK(syscall(SYS_io_submit, *context, 1, iocbs) == 1);
	CHECK(syscall(SYS_io_getevents, *context, 1, 1, event, NULL) == 1);
	CHECK(event->data == 5 && event->res == 100);
	CHECK(is_filled((void *)(uintptr_t)iocb.aio_buf, sector_byte(0), 100));
	CHECK(syscall(SYS_io_destroy, *context) == 0);
	close((int)iocb.aio_fildes);
}

static void behave(struct arena *given)
{
	arena = given;
	used = 0;
	files();
	printf("files, up to page %d\n", used);
	sockets();
	printf("sockets, up to page %d\n", used);
	waiting();
	printf("waiting, up to page %d\n", used);
	process();
	printf("process, up to page %d\n", used);
	aio();
	printf("aio, up to page %d\n", used);
	for (int i = used; i < NR; i++)
		CHECK(is_unchanged(i));
}

int main(void)
{
	return in_every_way(NR, behave);
}

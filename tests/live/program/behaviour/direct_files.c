/* Descriptors of direct I/O: duplicated, inherited, appended to, made direct later, limited. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <linux/openat2.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { NR = 4 };

static unsigned char *page;
static volatile sig_atomic_t caught;

static void count(int sig)
{
	(void)sig;
	caught++;
}

/* One position for all descriptors of an open file, over fork, too. */
static void position(void)
{
	int fd = open_data(O_DIRECT), other = dup(fd), third = dup3(fd, 77, O_CLOEXEC);
	pid_t pid;

	show("read", read(fd, page, SECTOR));
	show("read by dup", read(other, page, SECTOR));
	CHECK(is_filled(page, sector_byte(1), SECTOR));
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(read(third, page, 2 * SECTOR) == 2 * SECTOR);
		CHECK(is_filled(page, sector_byte(2), SECTOR));
		CHECK(lseek(fd, SECTOR, SEEK_CUR) == 5 * SECTOR);
		_exit(3);
	}
	CHECK(WEXITSTATUS(status_of(pid)) == 3);
	show("position after a child", lseek(other, 0, SEEK_CUR));
	CHECK(write(other, page, SECTOR) == SECTOR);
	show("position after a write", lseek(fd, 0, SEEK_CUR));
	CHECK(pread(fd, page, SECTOR, 0) == SECTOR);
	show("position after pread", lseek(fd, 0, SEEK_CUR));
	CHECK(lseek(fd, 1, SEEK_SET) == 1);
	show("read at 1", read(fd, page, SECTOR));
	show("position after EINVAL", lseek(fd, 0, SEEK_CUR));
	close(fd), close(other), close(third);
	show("closed", read(fd, page, SECTOR));
	show("no descriptor", read(-1, page, SECTOR));
	show("a large one", read(1 << 20, page, SECTOR));
}

/* O_DIRECT comes and goes. */
static void later(void)
{
	int fd = open_data(0), flags = fcntl(fd, F_GETFL);

	show("buffered, by 1", pread(fd, page + 1, 100, 3));
	CHECK(fcntl(fd, F_SETFL, flags | O_DIRECT) == 0);
	show("direct, by 1", pread(fd, page + 1, 100, 3));
	show("direct", pread(fd, page, SECTOR, 3 * SECTOR));
	CHECK(is_filled(page, sector_byte(3), SECTOR));
	CHECK(fcntl(fd, F_SETFL, flags) == 0);
	show("buffered again, by 1", pread(fd, page + 1, 100, 3));
	show("buffered again", pread(fd, page, SECTOR, 4 * SECTOR));
	CHECK(is_filled(page, sector_byte(4), SECTOR));
	close(fd);
}

static void modes(void)
{
	static const int ways[] = { O_RDONLY, O_WRONLY, O_PATH, O_RDWR | O_SYNC, O_RDWR | O_NONBLOCK };
	static const struct open_how how = { .flags = O_RDWR | O_DIRECT, .resolve = RESOLVE_NO_SYMLINKS };
	static const char *const devices[] = { "/dev/null", "/dev/zero", "/dev/full", "/proc/self/stat", "." };
	char text[100];
	int fd;

	fd = open("file", O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
	memset(page, 'f', SECTOR);
	CHECK(fd >= 0 && write(fd, page, SECTOR) == SECTOR && close(fd) == 0);
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		fd = open("file", ways[i] | O_DIRECT);
		CHECK(fd >= 0);
		snprintf(text, sizeof(text), "mode %zu", i);
		show(text, pread(fd, page, SECTOR, 0));
		show(text, pwrite(fd, page, SECTOR, 0));
		show(text, pread(fd, page + 1, SECTOR, 0));
		close(fd);
	}
	fd = (int)syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof(how));
	memset(page, '.', SECTOR);
	show("openat2", pread(fd, page, PAGE, 0));
	CHECK(is_filled(page, 'f', SECTOR) && close(fd) == 0);
	CHECK(unlink("file") == 0);
	fd = open(".", O_TMPFILE | O_RDWR | O_DIRECT, 0600);
	show("O_TMPFILE", pwrite(fd, page, SECTOR, 0));
	CHECK(close(fd) == 0);
	for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
		fd = open(devices[i], (i < 3 ? O_RDWR : O_RDONLY) | O_DIRECT);
		show(devices[i], fd < 0 ? -1 : 0);
		if (fd < 0)
			fd = open(devices[i], i < 3 ? O_RDWR : O_RDONLY);
		show("  read", i == 3 ? 0 : read(fd, page, SECTOR));
		show("  write", write(fd, page, SECTOR));
		close(fd);
	}
}

/* A pipe in packet mode has O_DIRECT, too. */
static void packets(void)
{
	int ends[2];

	CHECK(pipe2(ends, O_DIRECT) == 0);
	show("a packet", write(ends[1], page, SECTOR));
	show("another", write(ends[1], page, SECTOR));
	show("one packet", read(ends[0], page, PAGE));
	show("half a packet", read(ends[0], page, 256));
	close(ends[1]);
	show("no packet", read(ends[0], page, PAGE));
	close(ends[0]);
}

static void append(void)
{
	int fd = open_data(O_DIRECT | O_APPEND), end = SECTORS * SECTOR;

	memset(page, 'a', PAGE);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	show("append", write(fd, page, SECTOR));
	show("  position", lseek(fd, 0, SEEK_CUR));
	show("append by pwrite", pwrite(fd, page, SECTOR, 0));
	show("  size", lseek(fd, 0, SEEK_END));
	CHECK(pread(fd, page + PAGE, 2 * SECTOR, end) == 2 * SECTOR);
	CHECK(is_filled(page + PAGE, 'a', 2 * SECTOR));
	CHECK(pread(fd, page + PAGE, SECTOR, 0) == SECTOR);
	CHECK(is_filled(page + PAGE, sector_byte(0), SECTOR));
	CHECK(ftruncate(fd, 100) == 0);
	show("append to an odd end", write(fd, page, SECTOR));
	show("  size", lseek(fd, 0, SEEK_END));
	close(fd);
}

/* No file may become larger than its process is allowed. */
static void limited(void)
{
	struct sigaction handler = { .sa_handler = count }, before;
	int fd = open_data(O_DIRECT), end = SECTORS * SECTOR;
	struct rlimit old, limit;
	struct iovec iov = { page, PAGE };

	caught = 0;
	CHECK(sigaction(SIGXFSZ, &handler, &before) == 0);
	CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
	limit = (struct rlimit){ (rlim_t)end + 2 * SECTOR, old.rlim_max };
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	show("below the limit", pwrite(fd, page, PAGE, 0));
	show("up to the limit", pwrite(fd, page, 2 * SECTOR, end));
	show("over the limit", pwrite(fd, page, PAGE, end));
	show("over it, a vector", pwritev(fd, &iov, 1, end + SECTOR));
	printf("caught %d\n", (int)caught);
	show("at the limit", pwrite(fd, page, SECTOR, end + 2 * SECTOR));
	printf("caught %d\n", (int)caught);
	CHECK(lseek(fd, 0, SEEK_END) > 0);
	show("by its position", write(fd, page, SECTOR));
	printf("caught %d\n", (int)caught);
	show("size", lseek(fd, 0, SEEK_END));
	CHECK(fcntl(fd, F_SETFL, O_DIRECT | O_APPEND) == 0);
	show("appended", pwrite(fd, page, SECTOR, 0));
	show("reading", pread(fd, page, PAGE, end));
	CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	show("ignored", pwrite(fd, page, SECTOR, end + PAGE));
	printf("caught %d\n", (int)caught);
	CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
	CHECK(sigaction(SIGXFSZ, &before, NULL) == 0);
	close(fd);
}

static void *reading(int fd, const char *who)
{
	memset(page, '.', SECTOR);
	show(who, pread(fd, page, SECTOR, 3 * SECTOR));
	CHECK(is_filled(page, sector_byte(3), SECTOR));
	return page;
}

/* A child has what its parent opened, before and after it came, and gives some away. */
static void family(void)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1,
				  .msg_control = room, .msg_controllen = sizeof(room) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	int fd = open_data(O_DIRECT), pair[2], theirs;
	pid_t pid;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		reading(fd, "child");
		theirs = open_data(O_DIRECT);
		*head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(head), &theirs, sizeof(int));
		CHECK(sendmsg(pair[1], &message, 0) == 1);
		fflush(stdout);
		_exit(0);
	}
	CHECK(status_of(pid) == 0);
	CHECK(recvmsg(pair[0], &message, 0) == 1 && message.msg_controllen >= CMSG_LEN(sizeof(int)));
	memcpy(&theirs, CMSG_DATA(head), sizeof(int));
	reading(fd, "parent");
	reading(theirs, "what the child opened");
	CHECK(close(fd) == 0 && close(theirs) == 0 && close(pair[0]) == 0 && close(pair[1]) == 0);
}

static void behave(struct arena *arena)
{
	page = arena_page(arena, 1);
	position();
	later();
	modes();
	packets();
	append();
	limited();
	family();
	CHECK(arena_is_intact(arena, 3));
}

int main(void)
{
	return in_every_way(NR, behave);
}

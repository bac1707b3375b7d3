/* vmsplice, and what comes out of pipes in every way: in parts, through other pipes, late, never. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { NR = 24, ROOM = 16 };

static struct arena *arena;
static unsigned char *page;
static int ends[2], others[2];

static void fill(int nr)
{
	for (int i = 0; i < nr; i++)
		memset(page + (size_t)i * PAGE, 'a' + i, PAGE);
}

static long give(int at, size_t length, int flags)
{
	struct iovec iov = { page + at, length };

	return vmsplice(ends[1], &iov, 1, (unsigned)flags);
}

/* How many bytes are read, and what the first and the last of them are. */
static void got(const char *what, int fd, size_t length)
{
	unsigned char bytes[4 * PAGE];
	ssize_t count = read(fd, bytes, length);

	if (count <= 0)
		show(what, count);
	else
		printf("%s: %ld, %c to %c\n", what, (long)count, bytes[0], bytes[count - 1]);
}

static void in_parts(void)
{
	struct iovec iov[] = { { page + 10, 20 }, { page + PAGE - 1, 2 }, { page + 2 * PAGE, PAGE } };
	struct iovec to[] = { { page + 8 * PAGE, 100 }, { page + 9 * PAGE, 100 } };
	int unread;

	fill(4);
	show("write before", write(ends[1], "before", 6));
	show("give three", vmsplice(ends[1], iov, 3, 0));
	show("write behind", write(ends[1], "behind", 6));
	CHECK(ioctl(ends[0], FIONREAD, &unread) == 0);
	printf("unread %d\n", unread);
	got("the first", ends[0], 4);
	got("more", ends[0], 12);
	got("up to the third page", ends[0], 12);
	show("readv", readv(ends[0], to, 2));
	CHECK(is_filled(page + 8 * PAGE, 'c', 100) && is_filled(page + 9 * PAGE, 'c', 100));
	got("most", ends[0], 4 * PAGE);
	show("give nothing", give(0, 0, 0));
	show("give from nowhere", vmsplice(ends[1], &(struct iovec){ (void *)0x1000, 8 }, 1, 0));
	show("give no pieces", vmsplice(ends[1], iov, 0, 0));
	show("give to no pipe", vmsplice(arena->direct, iov, 1, 0));
	show("give to nobody", vmsplice(1000, iov, 1, 0));
	CHECK(give(3 * PAGE, PAGE, 0) == PAGE);
	page[3 * PAGE] = 'L';
	got("a store is seen", ends[0], 1);
	got("the rest", ends[0], 4 * PAGE);
}

static void *reader(void *arg)
{
	unsigned char bytes[PAGE];
	long total = 0;

	(void)arg;
	while (total < (ROOM + 4) * PAGE)
		total += read(ends[0], bytes, PAGE);
	return (void *)total;
}

static void full(void)
{
	pthread_t thread;
	void *total;

	fill(NR - 2);
	show("more than there is room for", give(0, (ROOM + 4) * PAGE, SPLICE_F_NONBLOCK));
	show("one more", give(0, PAGE, SPLICE_F_NONBLOCK));
	got("the first two", ends[0], 2 * PAGE);
	show("two more", give(ROOM * PAGE, 4 * PAGE, SPLICE_F_NONBLOCK));
	for (int i = 2; i < ROOM + 2; i += 4)
		got("four", ends[0], 4 * PAGE);
	CHECK(give(0, ROOM * PAGE, 0) == ROOM * PAGE);
	CHECK(pthread_create(&thread, NULL, reader, NULL) == 0);
	/* It waits until there is some room. */
	for (long given = 0; given < 4 * PAGE;) {
		long count = give(ROOM * PAGE, (size_t)(4 * PAGE - given), 0);

		CHECK(count > 0);
		given += count;
	}
	CHECK(pthread_join(thread, &total) == 0);
	printf("through: %ld\n", (long)total);
}

static void onwards(void)
{
	int file = open_data(0);
	struct iovec to = { page + 8 * PAGE, 10 };

	fill(4);
	CHECK(give(0, 3 * PAGE, 0) == 3 * PAGE);
	show("tee", tee(ends[0], others[1], PAGE + 10, 0));
	show("splice", splice(ends[0], NULL, others[1], NULL, 2 * PAGE, 0));
	got("left", ends[0], 4 * PAGE);
	got("what was copied", others[0], PAGE + 10);
	got("what was moved", others[0], 10);
	show("to a file", splice(others[0], NULL, file, NULL, PAGE, 0));
	show("to memory", vmsplice(others[0], &to, 1, 0));
	CHECK(is_filled(page + 8 * PAGE, 'b', 10));
	got("the rest", others[0], 4 * PAGE);
	CHECK(lseek(file, 0, SEEK_SET) == 0);
	got("the file", file, PAGE);
	close(file);
}

/* A socket has the page itself until somebody reads it. */
static void sent(void)
{
	int pair[2];

	fill(6);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(give(4 * PAGE, 2 * PAGE, 0) == 2 * PAGE);
	show("to a socket", splice(ends[0], NULL, pair[0], NULL, 2 * PAGE, 0));
	CHECK(munmap(page + 4 * PAGE, 2 * PAGE) == 0);
	CHECK(mmap(page + 4 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == page + 4 * PAGE);
	/* Pages that are given next are others. */
	memset(page + 4 * PAGE, 'X', 2 * PAGE);
	CHECK(give(4 * PAGE, 2 * PAGE, 0) == 2 * PAGE);
	got("the socket", pair[1], 2 * PAGE);
	got("the pipe", ends[0], 2 * PAGE);
	CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);
}

static void meanwhile(void)
{
	pid_t pid;

	fill(8);
	CHECK(give(0, 5 * PAGE, 0) == 5 * PAGE);
	CHECK(munmap(page, PAGE) == 0);
	CHECK(mprotect(page + PAGE, PAGE, PROT_READ) == 0);
	CHECK(madvise(page + 2 * PAGE, PAGE, MADV_DONTNEED) == 0);
	CHECK(is_filled(page + 2 * PAGE, 0, PAGE));
	CHECK(mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0) == page);
	memset(page, 'N', PAGE);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		setvbuf(stdout, NULL, _IONBF, 0);
		got("in a child: unmapped", ends[0], PAGE);
		got("protected", ends[0], PAGE);
		_exit(page[0] == 'N' && page[PAGE] == 'b' ? 0 : 1);
	}
	CHECK(status_of(pid) == 0);
	got("dropped", ends[0], PAGE);
	got("as it was", ends[0], 2 * PAGE);
	CHECK(mprotect(page + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
	memset(page + PAGE, 'w', PAGE);
	CHECK(is_filled(page, 'N', PAGE) && is_filled(page + PAGE, 'w', PAGE));
	/* Nobody is ever going to read this. */
	CHECK(give(5 * PAGE, 2 * PAGE, 0) == 2 * PAGE);
}

static void behave(struct arena *given)
{
	arena = given;
	/* What devices had to do with is beside it. */
	page = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(page != MAP_FAILED);
	madvise(page, NR * PAGE, MADV_NOHUGEPAGE);
	CHECK(pipe2(ends, O_CLOEXEC) == 0 && pipe2(others, O_CLOEXEC) == 0);
	in_parts();
	full();
	onwards();
	sent();
	meanwhile();
	for (int i = 0; i < 2; i++)
		CHECK(close(ends[i]) == 0 && close(others[i]) == 0);
	CHECK(munmap(page, NR * PAGE) == 0 && arena_is_intact(arena, 0));
}

int main(void)
{
	return in_every_way(2, behave);
}

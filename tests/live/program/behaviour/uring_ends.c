/* How rings end, and who else has them: dup, fork, exec, exit, with requests and with buffers. */
#define _GNU_SOURCE
#include "behaviour.h"
#include "../../../../demos/programs/ring.h"

#include <spawn.h>

extern char **environ;

enum { NR = 8 };

static unsigned char *pages;
static int direct;

static unsigned char *at(int page)
{
	return pages + (size_t)page * PAGE;
}

static void start(struct ring *ring)
{
	struct iovec iov = { at(0), 4 * PAGE };

	memset(pages, 'x', NR * PAGE);
	CHECK(ring_open(ring, 4, 0, 0) == 0);
	CHECK(ring_register(ring, IORING_REGISTER_BUFFERS, &iov, 1) == 0);
}

static void tried(const char *what, struct ring *ring, int page)
{
	int result;

	ring_rw(ring, IORING_OP_READ_FIXED, direct, at(page), SECTOR, page * SECTOR, 1);
	result = ring_do(ring);
	printf("%s: %d, %s\n", what, result,
	       is_filled(at(page), sector_byte(page), SECTOR) ? "seen" : "not seen");
}

static void other_names(void)
{
	struct ring ring;
	int first, second, third;

	start(&ring);
	first = ring.fd;
	second = dup(first);
	third = fcntl(first, F_DUPFD_CLOEXEC, 100);
	CHECK(second >= 0 && third >= 100 && close(first) == 0);
	ring.fd = third;
	tried("another name", &ring, 0);
	CHECK(dup2(1, second) == second && close(second) == 0);
	tried("one of two is closed", &ring, 1);
	CHECK(close_range(100, 200, 0) == 0);
	ring_rw(&ring, IORING_OP_NOP, -1, NULL, 0, 0, 0);
	show("all are closed", ring_enter(&ring, 1, 0));
	munmap(ring.rings, ring.size);
	munmap(ring.sqes, ring.sqes_size);
	memset(pages, 'e', NR * PAGE);
	/* The number is somebody else's by now. */
	CHECK(dup2(direct, 100) == 100 && close(100) == 0);
}

static void processes(void)
{
	char *argv[] = { "true", NULL };
	struct ring ring;
	pid_t pid;

	start(&ring);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		ring_close(&ring);
		/* One of its own, of memory that it shares. */
		start(&ring);
		tried("a child's own", &ring, 2);
		_exit(is_filled(at(3), 'x', PAGE) ? 0 : 1);
	}
	CHECK(status_of(pid) == 0);
	tried("its parent's, after that", &ring, 2);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		/* The parent's ring reads into the parent's memory. */
		ring_rw(&ring, IORING_OP_READ_FIXED, direct, at(3), SECTOR, 3 * SECTOR, 1);
		printf("a child asks: %d\n", ring_do(&ring));
		_exit(0);
	}
	CHECK(status_of(pid) == 0);
	printf("and the parent has %s\n", is_filled(at(3), sector_byte(3), SECTOR) ? "it" : "nothing");
	CHECK(posix_spawnp(&pid, "true", NULL, NULL, argv, environ) == 0 && status_of(pid) == 0);
	pid = vfork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(ring.fd);
		execvp("true", argv);
		_exit(1);
	}
	CHECK(status_of(pid) == 0);
	tried("after a vfork", &ring, 1);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		ring_rw(&ring, IORING_OP_READ, direct, at(5), SECTOR, 0, 1);
		CHECK(ring_enter(&ring, 1, 0) == 1);
		execvp("true", argv);
		_exit(1);
	}
	CHECK(status_of(pid) == 0);
	ring_close(&ring);
}

static void in_flight(void)
{
	for (int how = 0; how < 3; how++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			struct ring ring;

			start(&ring);
			ring_rw(&ring, IORING_OP_READ_FIXED, direct, at(0), SECTOR, 0, 1)->flags =
				IOSQE_IO_LINK;
			ring_rw(&ring, IORING_OP_READ, direct, at(5), SECTOR, 0, 2);
			CHECK(ring_enter(&ring, 2, 0) == 2);
			if (how == 1)
				kill(getpid(), SIGKILL);
			if (how == 2)
				ring_close(&ring);
			_exit(0);
		}
		printf("in flight: %#x\n", (unsigned)status_of(pid));
	}
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	pages = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED);
	madvise(pages, NR * PAGE, MADV_NOHUGEPAGE);
	direct = open_data(O_DIRECT);
	for (int i = 0; i < 3; i++) {
		other_names();
		processes();
		in_flight();
	}
	puts("EXIT-SUCCESS");
	/* A ring that nobody closes. */
	start(&(struct ring){ 0 });
	return 0;
}

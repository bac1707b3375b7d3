/* Calls that change memory which is registered: what the program sees there, and what devices do. */
#define _GNU_SOURCE
#include "behaviour.h"
#include "../../../../demos/programs/ring.h"

enum { NR = 16, REGISTERED = 12 };

static struct ring ring;
static unsigned char *pages;
static int fd;

static unsigned char *at(int page)
{
	return pages + (size_t)page * PAGE;
}

/* A read into the first sector of a page: whether it is seen, and the rest still there. */
static void read_into(const char *what, int page, unsigned char rest)
{
	int result;

	ring_rw(&ring, IORING_OP_READ_FIXED, fd, at(page), SECTOR, page * SECTOR, 1);
	result = ring_do(&ring);
	printf("%s: %d, %s, %s\n", what, result,
	       is_filled(at(page), sector_byte(page), SECTOR) ? "seen" : "not seen",
	       is_filled(at(page) + SECTOR, rest, TAIL) ? "kept" : "not kept");
}

static void *map_at(int page, size_t length)
{
	return mmap(at(page), length, PROT_READ | PROT_WRITE,
		    MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void protects(void)
{
	int zero = open("/dev/zero", O_RDONLY);

	CHECK(mprotect(at(0), 2 * PAGE, PROT_READ) == 0);
	read_into("protected", 0, 'x');
	show("read(2) into it", read(zero, at(0), SECTOR));
	CHECK(mprotect(at(0), 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
	at(0)[PAGE - 1] = 'x';
	read_into("writable again", 0, 'x');
	show("read(2) into it", read(zero, at(0), PAGE));
	CHECK(is_filled(at(0), 0, PAGE) && is_filled(at(1), 'x', PAGE));
	CHECK(mprotect(at(1), PAGE, PROT_NONE) == 0);
	CHECK(mprotect(at(1), PAGE, PROT_READ | PROT_WRITE) == 0);
	CHECK(is_filled(at(1), 'x', PAGE));
	show("protected as nonsense", mprotect(at(1), PAGE, 0x70000000));
	close(zero);
}

static void behave(void)
{
	struct iovec iov = { at(0), REGISTERED * PAGE };
	pid_t pid;

	memset(pages, 'x', NR * PAGE);
	show("register", ring_register(&ring, IORING_REGISTER_BUFFERS, &iov, 1));
	protects();
	CHECK(madvise(at(2), 2 * PAGE, MADV_DONTNEED) == 0);
	CHECK(is_filled(at(2), 0, 2 * PAGE));
	read_into("MADV_DONTNEED", 2, 0);
	memset(at(2), 'y', 2 * PAGE);
	read_into("stored to after that", 3, 'y');
	CHECK(map_at(4, PAGE) == at(4));
	read_into("mapped anew", 4, 0);
	CHECK(munmap(at(5), PAGE) == 0);
	ring_rw(&ring, IORING_OP_READ_FIXED, fd, at(5), SECTOR, 0, 1);
	printf("unmapped: %d\n", ring_do(&ring));
	CHECK(map_at(5, PAGE) == at(5) && is_filled(at(5), 0, PAGE));
	CHECK(madvise(at(6), PAGE, MADV_FREE) == 0);
	show("strange advice", madvise(at(6), PAGE, 12345));
	memset(at(6), 'z', PAGE);
	read_into("MADV_FREE", 6, 'z');
	CHECK(madvise(at(7), PAGE, MADV_DONTFORK) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(is_filled(at(8), 'x', PAGE) && is_filled(at(12), 'x', 4 * PAGE));
		CHECK(munmap(at(8), PAGE) == 0 && mprotect(at(9), PAGE, PROT_READ) == 0);
		CHECK(madvise(at(10), PAGE, MADV_DONTNEED) == 0 && is_filled(at(10), 0, PAGE));
		memset(at(11), 'c', PAGE);
		_exit(0);
	}
	CHECK(status_of(pid) == 0);
	for (int page = 7; page < REGISTERED; page++)
		read_into("after a fork", page, 'x');
	show("unregister", ring_register(&ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
	CHECK(madvise(at(7), PAGE, MADV_DOFORK) == 0);
	memset(pages, 'e', NR * PAGE);
	CHECK(is_filled(pages, 'e', NR * PAGE));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	pages = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED);
	madvise(pages, NR * PAGE, MADV_NOHUGEPAGE);
	fd = open_data(O_DIRECT);
	CHECK(ring_open(&ring, 4, 0, 0) == 0);
	for (int i = 0; i < 3; i++)
		behave();
	ring_close(&ring);
	puts("EXIT-SUCCESS");
	return 0;
}

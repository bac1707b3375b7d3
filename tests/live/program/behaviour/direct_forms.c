/* read, pread64, readv, preadv, preadv2 and the writes on O_DIRECT files: what they refuse. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <limits.h>

enum { NR = 8, FORMS = 10 };

static const char *const names[FORMS] = {
	"read", "pread64", "readv", "preadv", "preadv2",
	"write", "pwrite64", "writev", "pwritev", "pwritev2",
};

static struct arena *arena;
static char text[100];

static bool is_write(int form)
{
	return form >= 5;
}

static bool is_vectored(int form)
{
	return form % 5 >= 2;
}

static long vector(int form, int fd, const struct iovec *iov, long count, long offset, long flags)
{
	switch (form) {
	case 2:
	case 7:
		CHECK(lseek(fd, offset, SEEK_SET) == offset || offset < 0);
		return syscall(form == 2 ? SYS_readv : SYS_writev, fd, iov, count);
	case 3:
		return syscall(SYS_preadv, fd, iov, count, offset, 0);
	case 4:
		return syscall(SYS_preadv2, fd, iov, count, offset, 0, flags);
	case 8:
		return syscall(SYS_pwritev, fd, iov, count, offset, 0);
	case 9:
		return syscall(SYS_pwritev2, fd, iov, count, offset, 0, flags);
	}
	return 0;
}

static long transfer(int form, int fd, void *buf, size_t length, long offset)
{
	struct iovec iov = { buf, length };

	if (is_vectored(form))
		return vector(form, fd, &iov, 1, offset, 0);
	if (form == 0 || form == 5) {
		CHECK(lseek(fd, offset, SEEK_SET) == offset || offset < 0);
		return syscall(form ? SYS_write : SYS_read, fd, buf, length);
	}
	return syscall(form == 1 ? SYS_pread64 : SYS_pwrite64, fd, buf, length, offset);
}

static void shown(int form, const char *what, long result)
{
	snprintf(text, sizeof(text), "%s, %s", names[form], what);
	show(text, result);
}

/* Pointers, lengths and offsets that direct I/O wants to be multiples of something. */
static void alignment(int form, int fd)
{
	static const int odd[] = { 1, 4, 16, 256, 511, 513 };
	unsigned char *page = arena_page(arena, 1);

	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		printf("%s by %d:", names[form], odd[i]);
		for (int which = 0; which < 3; which++) {
			long result = transfer(form, fd, page + (which == 0 ? odd[i] : 0),
					       which == 1 ? (size_t)odd[i] : SECTOR,
					       which == 2 ? odd[i] : 0);

			printf(" %s", result < 0 ? strerrorname_np(errno) : result ? "some" : "0");
		}
		printf("\n");
	}
}

static void lengths(int form, int fd)
{
	unsigned char *page = arena_page(arena, 2);
	void *nowhere = (void *)0x1000;
	long end = SECTORS * SECTOR;

	memset(page, '.', PAGE);
	shown(form, "a sector", transfer(form, fd, page, SECTOR, 3 * SECTOR));
	if (!is_write(form))
		CHECK(is_filled(page, sector_byte(3), SECTOR) && page[SECTOR] == '.');
	shown(form, "pages", transfer(form, fd, page, 2 * PAGE, SECTOR));
	shown(form, "nothing", transfer(form, fd, page, 0, 0));
	shown(form, "nothing at 1", transfer(form, fd, page, 0, 1));
	shown(form, "nothing nowhere", transfer(form, fd, nowhere, 0, 0));
	shown(form, "nowhere", transfer(form, fd, nowhere, SECTOR, 0));
	shown(form, "NULL", transfer(form, fd, NULL, SECTOR, 0));
	shown(form, "in the kernel", transfer(form, fd, (void *)(1UL << 63), SECTOR, 0));
	shown(form, "a negative length", transfer(form, fd, page, -SECTOR, 0));
	if (!is_write(form)) {
		/* Behind what is counted a device may leave what it likes: the rest of a block. */
		shown(form, "over the end", transfer(form, fd, page, PAGE, end - SECTOR));
		CHECK(is_filled(page, sector_byte(SECTORS - 1), SECTOR));
		shown(form, "at the end", transfer(form, fd, page, PAGE, end));
		shown(form, "behind the end", transfer(form, fd, page, PAGE, end + PAGE));
		shown(form, "far behind", transfer(form, fd, page, SECTOR, 1L << 40));
	}
	if (form % 5 && form % 5 != 2) {
		CHECK(lseek(fd, 5 * SECTOR, SEEK_SET) == 5 * SECTOR);
		shown(form, "at -1", transfer(form, fd, page, SECTOR, -1));
		shown(form, "at -512", transfer(form, fd, page, SECTOR, -SECTOR));
		shown(form, "at the last", transfer(form, fd, page, SECTOR, LONG_MAX - SECTOR + 1));
	}
	shown(form, "the position", lseek(fd, 0, SEEK_CUR));
}

/* A file that does not end with a sector. */
static void odd_end(int form)
{
	int fd = open_data(O_DIRECT);
	unsigned char *page = arena_page(arena, 3);

	CHECK(ftruncate(fd, 1000) == 0);
	shown(form, "odd end, all", transfer(form, fd, page, PAGE, 0));
	if (!is_write(form))
		CHECK(is_filled(page, sector_byte(0), SECTOR));
	CHECK(ftruncate(fd, 1000) == 0);
	shown(form, "odd end, rest", transfer(form, fd, page, SECTOR, SECTOR));
	shown(form, "odd end, behind", transfer(form, fd, page, SECTOR, 2 * SECTOR));
	shown(form, "odd end, size", lseek(fd, 0, SEEK_END));
	close(fd);
}

static void vectors(int form, int fd)
{
	static struct iovec iov[1025];
	unsigned char *pages = arena_page(arena, 4);
	unsigned char *room = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec *edge = (struct iovec *)(room + PAGE) - 1;
	const struct iovec many[] = {
		{ pages, SECTOR }, { NULL, 0 }, { pages + PAGE, 2 * SECTOR }, { pages + SECTOR, SECTOR },
	};

	for (int i = 0; i < 1025; i++)
		iov[i] = (struct iovec){ pages + i % 16 * SECTOR, i < 16 ? SECTOR : 0 };
	shown(form, "no vector", vector(form, fd, NULL, 0, 0, 0));
	shown(form, "1024", vector(form, fd, iov, 1024, 0, 0));
	shown(form, "1025", vector(form, fd, iov, 1025, 0, 0));
	shown(form, "-1", vector(form, fd, iov, -1, 0, 0));
	shown(form, "a vector at NULL", vector(form, fd, NULL, 1, 0, 0));
	shown(form, "pieces", vector(form, fd, many, 4, 8 * SECTOR, 0));
	if (!is_write(form)) {
		CHECK(is_filled(pages, sector_byte(8), SECTOR));
		CHECK(is_filled(pages + PAGE, sector_byte(9), SECTOR));
		CHECK(is_filled(pages + PAGE + SECTOR, sector_byte(10), SECTOR));
		CHECK(is_filled(pages + SECTOR, sector_byte(11), SECTOR));
	}
	iov[1] = (struct iovec){ pages + PAGE + 1, SECTOR };
	shown(form, "an odd piece", vector(form, fd, iov, 2, 0, 0));
	iov[1] = (struct iovec){ pages + PAGE, 100 };
	shown(form, "an odd length", vector(form, fd, iov, 2, 0, 0));
	iov[1] = (struct iovec){ pages + PAGE, -SECTOR };
	shown(form, "a negative piece", vector(form, fd, iov, 2, 0, 0));
	iov[1] = (struct iovec){ (void *)0x1000, SECTOR };
	shown(form, "a piece nowhere", vector(form, fd, iov, 2, 0, 0));
	/* Behind the edge is nothing. */
	CHECK(munmap(room + PAGE, PAGE) == 0);
	*edge = (struct iovec){ pages, SECTOR };
	shown(form, "to the edge", vector(form, fd, edge, 1, 0, 0));
	shown(form, "over the edge", vector(form, fd, edge, 2, 0, 0));
	CHECK(munmap(room, PAGE) == 0);
}

static void flags(int form, int fd)
{
	static const long all[] = { RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_NOWAIT, RWF_APPEND,
				    RWF_APPEND | RWF_DSYNC, 1 << 20, 1L << 31, 1L << 32, -1 };
	struct iovec iov = { arena_page(arena, 6), SECTOR };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		long end = lseek(fd, 0, SEEK_END), offset = i % 2 ? -1 : 2 * SECTOR;

		CHECK(lseek(fd, SECTOR, SEEK_SET) == SECTOR);
		printf("%lx: ", all[i]);
		shown(form, "flags", vector(form, fd, &iov, 1, offset, all[i]));
		printf("position %ld, ", lseek(fd, 0, SEEK_CUR));
		printf("%ld more\n", lseek(fd, 0, SEEK_END) - end);
	}
}

static void behave(struct arena *given)
{
	arena = given;
	for (int form = 0; form < FORMS; form++) {
		int fd = open_data(O_DIRECT);

		alignment(form, fd);
		close(fd);
		fd = open_data(O_DIRECT);
		lengths(form, fd);
		odd_end(form);
		close(fd);
		fd = open_data(O_DIRECT);
		if (is_vectored(form))
			vectors(form, fd);
		if (form % 5 == 4)
			flags(form, fd);
		close(fd);
	}
	CHECK(arena_is_intact(arena, 7));
}

int main(void)
{
	return in_every_way(NR, behave);
}

/* Where the buffers of direct I/O may lie, and where not: all kinds of mappings. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <sys/auxv.h>

enum { NR = 4 };

/* A page of the program's own text, read-only and executable, that is called after all. */
__attribute__((aligned(PAGE), noinline, noclone))
static int in_text(int number)
{
	__asm__ volatile("" : "+r"(number));
	return number * 3 + 1;
}

static unsigned char in_data[2 * PAGE] __attribute__((aligned(PAGE))) = { 'd' };
static unsigned char in_bss[2 * PAGE] __attribute__((aligned(PAGE)));
static const unsigned char in_rodata[PAGE] __attribute__((aligned(PAGE))) = { 'r', 'o' };

static struct arena *arena;
static int fd, plain;

/* What the file has in a sector must be this. */
static bool is_in_file(const void *bytes, int sector)
{
	unsigned char read_back[SECTOR];

	CHECK(fdatasync(fd) == 0);
	CHECK(pread(plain, read_back, SECTOR, sector * SECTOR) == SECTOR);
	return memcmp(read_back, bytes, SECTOR) == 0;
}

/* Read a sector into the second sector of a page, write its first one; the rest stays. */
static void both(const char *where, void *at)
{
	unsigned char *bytes = at;
	unsigned char last = bytes[PAGE - 1];
	char text[100];

	snprintf(text, sizeof(text), "read into %s", where);
	show(text, pread(fd, bytes + SECTOR, SECTOR, 3 * SECTOR));
	CHECK(is_filled(bytes + SECTOR, sector_byte(3), SECTOR) && bytes[PAGE - 1] == last);
	memset(bytes, 'w', SECTOR);
	snprintf(text, sizeof(text), "write from %s", where);
	show(text, pwrite(fd, bytes, SECTOR, 5 * SECTOR));
	CHECK(is_in_file(bytes, 5) && is_filled(bytes + SECTOR, sector_byte(3), SECTOR));
	bytes[PAGE - 1] = last;
}

/* What may not be written. */
static void only_from(const char *where, const void *at)
{
	char text[100];
	unsigned char before[SECTOR];

	memcpy(before, at, SECTOR);
	snprintf(text, sizeof(text), "read into %s", where);
	show(text, pread(fd, (void *)(uintptr_t)at, SECTOR, 3 * SECTOR));
	CHECK(memcmp(before, at, SECTOR) == 0);
	snprintf(text, sizeof(text), "write from %s", where);
	show(text, pwrite(fd, at, SECTOR, 6 * SECTOR));
	CHECK(memcmp(before, at, SECTOR) == 0 && is_in_file(before, 6));
}

static void *mapped(int pages, int prot, int flags, int of, off_t offset)
{
	void *at = mmap(NULL, (size_t)pages * PAGE, prot, flags, of, offset);

	CHECK(at != MAP_FAILED);
	return at;
}

static void own(void)
{
	unsigned char on_stack[2 * PAGE] __attribute__((aligned(PAGE)));
	unsigned char *page, *heap = aligned_alloc(PAGE, 8 * PAGE);

	memset(on_stack, 's', sizeof(on_stack));
	both("the stack", on_stack);
	both("the heap", heap);
	free(heap);
	both("data", in_data);
	both("bss", in_bss);
	only_from("read-only data", in_rodata);
	only_from("text", (void *)(uintptr_t)in_text);
	printf("text runs: %d\n", in_text(in_data[0]) == in_data[0] * 3 + 1);

	/* Never touched before: as source, then as target. */
	page = mapped(2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	show("write from untouched", pwrite(fd, page, SECTOR, 7 * SECTOR));
	CHECK(is_in_file(page, 7) && is_filled(page, 0, 2 * PAGE));
	show("read into untouched", pread(fd, page + PAGE, SECTOR, 3 * SECTOR));
	CHECK(is_filled(page + PAGE, sector_byte(3), SECTOR));
	CHECK(is_filled(page + PAGE + SECTOR, 0, PAGE - SECTOR));
	CHECK(munmap(page, 2 * PAGE) == 0);
}

static void files(void)
{
	int other = open_data(0);
	unsigned char *page = mapped(2, PROT_READ | PROT_WRITE, MAP_PRIVATE, other, 0);

	both("a private file mapping", page);
	CHECK(is_filled(page + PAGE, sector_byte(8), SECTOR));
	CHECK(munmap(page, 2 * PAGE) == 0);
	page = mapped(1, PROT_READ, MAP_PRIVATE, other, 0);
	only_from("a read-only file mapping", page);
	CHECK(munmap(page, PAGE) == 0);
	page = mapped(1, PROT_READ | PROT_WRITE, MAP_SHARED, other, PAGE);
	both("a shared file mapping", page);
	CHECK(munmap(page, PAGE) == 0);
	page = mapped(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	both("shared memory", page);
	CHECK(munmap(page, PAGE) == 0);

	/* Behind the end of the file there is no page. */
	page = mapped(10, PROT_READ | PROT_WRITE, MAP_PRIVATE, other, 0);
	show("read into nothing", pread(fd, page + 9 * PAGE, SECTOR, 0));
	show("write from nothing", pwrite(fd, page + 9 * PAGE, SECTOR, 0));
	show("read over the end", pread(fd, page + 7 * PAGE, 2 * PAGE, 0));
	CHECK(munmap(page, 10 * PAGE) == 0);
	close(other);
}

static void borders(void)
{
	unsigned char *page = mapped(4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec iov[] = { { page, PAGE }, { page + 2 * PAGE, PAGE } };

	memset(page, '.', 4 * PAGE);
	CHECK(munmap(page + PAGE, PAGE) == 0);
	show("read over a hole", pread(fd, page, 2 * PAGE, 0));
	show("write over a hole", pwrite(fd, page, 2 * PAGE, 0));
	show("read around a hole", preadv(fd, iov, 2, 0));
	CHECK(is_filled(page, sector_byte(0), SECTOR) || errno == EFAULT);
	CHECK(mprotect(page + 2 * PAGE, PAGE, PROT_READ) == 0);
	show("read into protected", pread(fd, page + 2 * PAGE, PAGE, 0));
	show("read up to protected", preadv(fd, iov, 2, 0));
	show("write from protected", pwrite(fd, page + 2 * PAGE, PAGE, 0));
	CHECK(mprotect(page + 2 * PAGE, PAGE, PROT_NONE) == 0);
	show("write from PROT_NONE", pwrite(fd, page + 2 * PAGE, PAGE, 0));
	CHECK(mprotect(page + 2 * PAGE, PAGE, PROT_WRITE) == 0);
	show("write from PROT_WRITE", pwrite(fd, page + 2 * PAGE, PAGE, 0));
	show("read into PROT_WRITE", pread(fd, page + 2 * PAGE, PAGE, 0));
	CHECK(munmap(page, PAGE) == 0 && munmap(page + 2 * PAGE, 2 * PAGE) == 0);
}

/* What the kernel maps by itself. */
static void special(void)
{
	unsigned char *vdso = (void *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	struct timespec now;

	show("write from the vdso", pwrite(fd, vdso, SECTOR, 0));
	show("read into the vdso", pread(fd, vdso, SECTOR, 0));
	show("write from vsyscall", pwrite(fd, (void *)0xffffffffff600000, SECTOR, 0));
	CHECK(!memcmp(vdso, "\177ELF", 4));
	CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0 && now.tv_sec > 0);
}

static void behave(struct arena *given)
{
	char name[40];

	arena = given;
	fd = open_data(O_DIRECT);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	plain = open(name, O_RDONLY);
	CHECK(plain >= 0);
	own();
	files();
	borders();
	special();
	/* The arena's own pages: both head and tail. */
	CHECK(pwrite(fd, arena->pages, PAGE, 0) == PAGE);
	CHECK(is_in_file(arena->pages, 0));
	CHECK(close(fd) == 0 && close(plain) == 0);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	return in_every_way(NR, behave);
}

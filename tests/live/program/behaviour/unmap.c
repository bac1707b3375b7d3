/* munmap, MAP_FIXED, mremap, mprotect, brk over pages that devices had to do with. */
#define _GNU_SOURCE
#include "behaviour.h"

enum { NR = 16 };

static struct arena *arena;

static bool is_mapped(void *at)
{
	unsigned char resident;

	return mincore(at, PAGE, &resident) == 0;
}

static void behave(struct arena *given)
{
	unsigned char *page, *moved, *grown, *other;
	unsigned char resident[NR + 1];
	int fd;

	arena = given;
	memset(resident, 0x77, sizeof(resident));
	CHECK(mincore(arena->pages, NR * PAGE, resident) == 0);
	for (int i = 0; i < NR; i++)
		CHECK(resident[i] & 1);
	CHECK(resident[NR] == 0x77);

	/* Page 0 goes away, and comes again, empty. */
	page = arena_page(arena, 0);
	CHECK(munmap(page, PAGE) == 0 && !is_mapped(page));
	CHECK(write(1, page, 1) == -1 && errno == EFAULT);
	CHECK(mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		   -1, 0) == page);
	CHECK(is_filled(page, 0, PAGE));
	memset(page, head_byte(0), TAIL);

	/* Page 1 is replaced, by anonymous memory and by a file. */
	page = arena_page(arena, 1);
	CHECK(mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
	      == page);
	CHECK(is_filled(page, 0, PAGE));
	fd = open_data(0);
	CHECK(mmap(arena_page(arena, 2), PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, PAGE)
	      == arena_page(arena, 2));
	CHECK(is_filled(arena_page(arena, 2), sector_byte(8), SECTOR));
	CHECK(mmap(arena_page(arena, 2), PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0)
	      == arena_page(arena, 2));
	memset(arena_page(arena, 2), 'f', 10);
	CHECK(pread(fd, resident, 10, 0) == 10 && is_filled(resident, 'f', 10));
	close(fd);
	CHECK(is_filled(arena_page(arena, 3), head_byte(3), TAIL));
	printf("unmapped, replaced\n");

	/* Pages 4 and 5 move, grow, shrink. */
	moved = mremap(arena_page(arena, 4), 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       other = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	CHECK(moved == other && !is_mapped(arena_page(arena, 4)) && !is_mapped(arena_page(arena, 5)));
	CHECK(is_filled(moved, head_byte(4), TAIL) && is_filled(moved + PAGE, head_byte(5), TAIL));
	CHECK(munmap(other + 2 * PAGE, 2 * PAGE) == 0);
	memset(moved, 'm', 100);
	grown = mremap(moved, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(grown != MAP_FAILED);
	CHECK(is_filled(grown, 'm', 100) && is_filled(grown + PAGE, head_byte(5), TAIL));
	CHECK(is_filled(grown + 2 * PAGE, 0, 62 * PAGE));
	CHECK(mremap(grown, 64 * PAGE, PAGE, 0) == grown);
	CHECK(is_mapped(grown) && !is_mapped(grown + PAGE));
	CHECK(is_filled(grown, 'm', 100) && is_filled(grown + 100, head_byte(4), TAIL - 100));
	CHECK(munmap(grown, PAGE) == 0);
	/* In the middle of the mapping: it is split. */
	moved = mremap(arena_page(arena, 8), PAGE, 3 * PAGE, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED && is_filled(moved, head_byte(8), TAIL));
	CHECK(mremap(arena_page(arena, 9), PAGE, 2 * PAGE, 0) == MAP_FAILED && errno == ENOMEM);
	CHECK(munmap(moved, 3 * PAGE) == 0);
	moved = mremap(arena_page(arena, 10), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
	CHECK(moved != MAP_FAILED && is_filled(moved, head_byte(10), TAIL));
	CHECK(is_filled(arena_page(arena, 10), 0, PAGE));
	CHECK(munmap(moved, PAGE) == 0);
	printf("moved, grown, shrunk\n");

	/* Protections hold for the kernel, too. */
	page = arena_page(arena, 12);
	CHECK(mprotect(page, PAGE, PROT_READ) == 0);
	fd = open("/dev/zero", O_RDONLY);
	CHECK(read(fd, page, 10) == -1 && errno == EFAULT);
	CHECK(pread(arena->direct, page, SECTOR, 0) == -1 && errno == EFAULT);
	CHECK(pwrite(arena->direct, page, SECTOR, 0) == SECTOR);
	CHECK(mprotect(page, PAGE, PROT_NONE) == 0);
	CHECK(pwrite(arena->direct, page, SECTOR, 0) == -1 && errno == EFAULT);
	CHECK(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
	CHECK(read(fd, page, 10) == 10);
	CHECK(is_filled(page, 0, 10) && is_filled(page + 10, head_byte(12), TAIL - 10));
	CHECK(mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
	page[0] = 0xc3;
	((void (*)(void))(uintptr_t)page)();
	close(fd);
	printf("protected\n");
	for (int i = 13; i < NR; i++)
		CHECK(is_filled(arena_page(arena, i), head_byte(i), TAIL));
	/* A read of the very pages goes where they are now. */
	CHECK(pread(arena->direct, arena_page(arena, 13), PAGE, 8 * SECTOR) == PAGE);
	CHECK(is_filled(arena_page(arena, 13), sector_byte(8), SECTOR));
}

int main(void)
{
	return in_every_way(NR, behave);
}

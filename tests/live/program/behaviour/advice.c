/* madvise over pages that devices had to do with, and what a child then has. */
#define _GNU_SOURCE
#include "behaviour.h"

enum { NR = 16 };

static struct arena *arena;

static void advise(int page, int nr, int advice)
{
	CHECK(madvise(arena_page(arena, page), (size_t)nr * PAGE, advice) == 0);
}

static bool is_mapped(int page)
{
	unsigned char resident;

	return mincore(arena_page(arena, page), PAGE, &resident) == 0;
}

static void behave(struct arena *given)
{
	pid_t pid;

	arena = given;
	advise(0, 2, MADV_DONTNEED);
	CHECK(is_filled(arena_page(arena, 0), 0, 2 * PAGE));
	memset(arena_page(arena, 0), 'd', TAIL);
	advise(2, 1, MADV_FREE);
	/* Until memory is short, what was there may still be; a store makes it stay. */
	memset(arena_page(arena, 2), 'e', TAIL);
	CHECK(is_filled(arena_page(arena, 2), 'e', TAIL));
	CHECK(madvise(arena_page(arena, 0) + 1, PAGE, MADV_DONTNEED) == -1 && errno == EINVAL);
	CHECK(madvise(arena_page(arena, 0), PAGE, 12345) == -1 && errno == EINVAL);
	printf("DONTNEED, FREE\n");

	advise(4, 1, MADV_DONTFORK);
	advise(5, 1, MADV_DONTFORK);
	advise(5, 1, MADV_DOFORK);
	advise(6, 1, MADV_WIPEONFORK);
	advise(7, 1, MADV_WIPEONFORK);
	advise(7, 1, MADV_KEEPONFORK);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		pid_t grandchild;

		CHECK(!is_mapped(4) && is_mapped(5) && is_mapped(6) && is_mapped(7));
		CHECK(is_filled(arena_page(arena, 5), head_byte(5), TAIL));
		CHECK(is_filled(arena_page(arena, 6), 0, PAGE));
		CHECK(is_filled(arena_page(arena, 7), head_byte(7), TAIL));
		memset(arena_page(arena, 6), 'w', TAIL);
		grandchild = fork();
		if (grandchild == 0)
			/* The advice is inherited. */
			_exit(!is_mapped(4) && is_filled(arena_page(arena, 6), 0, PAGE) ? 0 : 3);
		CHECK(status_of(grandchild) == 0);
		CHECK(is_filled(arena_page(arena, 6), 'w', TAIL));
		_exit(0);
	}
	CHECK(status_of(pid) == 0);
	CHECK(is_filled(arena_page(arena, 4), head_byte(4), TAIL));
	CHECK(is_filled(arena_page(arena, 6), head_byte(6), TAIL));
	printf("DONTFORK, WIPEONFORK\n");

	/* With a transfer to those pages after the advice. */
	CHECK(pread(arena->direct, arena_page(arena, 4), PAGE, 0) == PAGE);
	CHECK(pread(arena->direct, arena_page(arena, 6), PAGE, 0) == PAGE);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(!is_mapped(4) && is_filled(arena_page(arena, 6), 0, PAGE) ? 0 : 4);
	CHECK(status_of(pid) == 0);
	CHECK(is_filled(arena_page(arena, 4), sector_byte(0), SECTOR));
	CHECK(is_filled(arena_page(arena, 6), sector_byte(0), SECTOR));
	advise(4, 1, MADV_DOFORK);
	advise(6, 1, MADV_KEEPONFORK);
	pid = fork();
	if (pid == 0)
		_exit(arena_page(arena, 4)[0] == sector_byte(0) && arena_page(arena, 6)[0] == sector_byte(0)
		      ? 0 : 5);
	CHECK(status_of(pid) == 0);
	printf("and back\n");
	for (int i = 8; i < NR; i++)
		CHECK(is_filled(arena_page(arena, i), head_byte(i), TAIL));
}

/* Advice by way of process_madvise, where there is such, before a device comes. */
static void advise_oneself(void)
{
	unsigned char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec iov = { page, PAGE };
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0), direct;
	long advised;
	pid_t pid;

	CHECK(page != MAP_FAILED && self >= 0);
	memset(page, 'p', PAGE);
	advised = syscall(SYS_process_madvise, self, &iov, 1L, MADV_WIPEONFORK, 0L);
	show("process_madvise", advised);
	direct = open_data(O_DIRECT | O_CLOEXEC);
	CHECK(pread(direct, page, SECTOR, 0) == SECTOR);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(is_filled(page + TAIL, advised < 0 ? 'p' : 0, SECTOR) ? 0 : 3);
	CHECK(status_of(pid) == 0);
	CHECK(is_filled(page, sector_byte(0), SECTOR));
	CHECK(munmap(page, PAGE) == 0 && close(direct) == 0 && close(self) == 0);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	advise_oneself();
	return in_every_way(NR, behave);
}

/* Rare calls that replace what is mapped: shmat with SHM_REMAP, remap_file_pages. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <sys/shm.h>

enum { NR = 8 };

static struct arena *arena;

/* What the segment has is there, and whatever comes to the pages does not leave them. */
static void attach(int id, int page, int flags)
{
	unsigned char *at = arena_page(arena, page), *again;
	void *got = shmat(id, at, flags);

	CHECK(got == at);
	CHECK(is_filled(at, 's', 2 * PAGE));
	if (!(flags & SHM_RDONLY)) {
		memset(at, 'S', 2 * PAGE);
		again = shmat(id, NULL, SHM_RDONLY);
		CHECK(again != (void *)-1 && is_filled(again, 'S', 2 * PAGE));
		memset(at, 's', 2 * PAGE);
		CHECK(shmdt(again) == 0);
	}
}

static void remap(void)
{
	unsigned char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(shared != MAP_FAILED);
	memset(shared, '0', PAGE), memset(shared + PAGE, '1', PAGE);
	for (int page = 0; page < 2; page++)
		show("remap_file_pages", remap_file_pages(arena_page(arena, page), PAGE, 0, 3, 0));
	show("of all", remap_file_pages(arena->pages, NR * PAGE, 0, 0, 0));
	show("of what is shared", remap_file_pages(shared, PAGE, 0, 1, 0));
	CHECK(is_filled(shared, '1', PAGE));
	CHECK(munmap(shared, 2 * PAGE) == 0);
	CHECK(arena_is_intact(arena, 0));
}

static void behave(struct arena *given)
{
	int id = shmget(IPC_PRIVATE, 2 * PAGE - 100, 0600);
	unsigned char *at;
	pid_t pid;

	arena = given;
	remap();
	CHECK(id >= 0);
	at = shmat(id, NULL, 0);
	CHECK(at != (void *)-1);
	memset(at, 's', 2 * PAGE);
	CHECK(shmdt(at) == 0);
	show("over what is mapped", (long)shmat(id, arena->pages, 0));
	show("where it cannot be", (long)shmat(id, arena->pages + 1, SHM_REMAP));
	show("no segment", (long)shmat(-1, arena->pages, SHM_REMAP));
	CHECK(arena_is_intact(arena, 0));
	attach(id, 0, SHM_REMAP);
	attach(id, 3, SHM_REMAP | SHM_RDONLY);
	CHECK(is_filled(arena_page(arena, 2), head_byte(2), TAIL));
	CHECK(arena_is_intact(arena, 5));
	/* A child shares it, and is not parted from it. */
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		memset(arena_page(arena, 0), 'c', 2 * PAGE);
		_exit(is_filled(arena_page(arena, 3), 'c', 2 * PAGE) ? 0 : 3);
	}
	CHECK(status_of(pid) == 0);
	CHECK(is_filled(arena_page(arena, 0), 'c', 2 * PAGE));
	CHECK(shmdt(arena_page(arena, 0)) == 0 && shmdt(arena_page(arena, 3)) == 0);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	CHECK(arena_is_intact(arena, 5));
}

int main(void)
{
	return in_every_way(NR, behave);
}

/* What a process stores it finds again, and nobody else does. */
#define _GNU_SOURCE
#include "behaviour.h"

enum { NR = 8 };

static void behave(struct arena *arena)
{
	pid_t pid;

	for (int i = 0; i < NR; i += 2)
		memset(arena_page(arena, i), 'x', 100);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		for (int i = 0; i < NR; i++) {
			CHECK(*arena_page(arena, i) == (i % 2 ? head_byte(i) : 'x'));
			memset(arena_page(arena, i), 'y', TAIL);
		}
		_exit(7);
	}
	for (int i = 1; i < NR; i += 2)
		memset(arena_page(arena, i) + 50, 'z', 50);
	CHECK(WEXITSTATUS(status_of(pid)) == 7);
	for (int i = 0; i < NR; i++) {
		unsigned char *page = arena_page(arena, i);

		CHECK(is_filled(page, i % 2 ? head_byte(i) : 'x', 50));
		CHECK(is_filled(page + 50, i % 2 ? 'z' : 'x', 50));
		CHECK(is_filled(page + 100, head_byte(i), TAIL - 100));
	}
	printf("stores survive\n");
}

int main(void)
{
	return in_every_way(NR, behave);
}

/* pkey_mprotect(2) without a key is mprotect(2): a child's pages stay its own. */
#define _GNU_SOURCE
#include "behaviour.h"

enum { NR = 2 };

static void behave(struct arena *arena)
{
	int ends[2];
	pid_t pid;
	char byte;

	CHECK(pipe(ends) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(read(ends[0], &byte, 1) == 1);
		_exit(arena_page(arena, 0)[100] == head_byte(0) ? 0 : 1);
	}
	CHECK(syscall(SYS_pkey_mprotect, arena_page(arena, 0), PAGE, PROT_READ | PROT_WRITE, -1) == 0);
	arena_page(arena, 0)[100] = 'p';
	CHECK(write(ends[1], "x", 1) == 1);
	CHECK(status_of(pid) == 0);
	CHECK(arena_page(arena, 0)[100] == 'p');
	printf("the child sees what was there\n");
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	return in_every_way(NR, behave);
}

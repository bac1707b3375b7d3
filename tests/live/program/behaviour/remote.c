/* The memory of another process, read and written while it is shared, and held by devices. */
#define _GNU_SOURCE
#include "behaviour.h"

enum { NR = 8 };

static struct arena *arena;

static long copy(long nr, pid_t pid, void *own, void *theirs, size_t length)
{
	struct iovec local = { own, length }, remote = { theirs, length };

	return syscall(nr, pid, &local, 1L, &remote, 1L, 0L);
}

static void behave(struct arena *given)
{
	unsigned char own[2 * PAGE], byte;
	int up[2], down[2];
	pid_t pid, parent = getpid();

	arena = given;
	CHECK(pipe2(up, O_CLOEXEC) == 0 && pipe2(down, O_CLOEXEC) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		/* A child that only answers, until it is told to write to its parent. */
		CHECK(close(down[1]) == 0);
		CHECK(write(up[1], "r", 1) == 1 && read(down[0], &byte, 1) == 1);
		CHECK(is_filled(arena_page(arena, 1), 'w', 100));
		CHECK(is_filled(arena_page(arena, 2), head_byte(2), TAIL));
		memset(own, 'c', SECTOR);
		show("child writes", copy(SYS_process_vm_writev, parent, own, arena_page(arena, 3), 100));
		show("child reads", copy(SYS_process_vm_readv, parent, own, arena_page(arena, 2), 200));
		CHECK(is_filled(own, 'p', 200));
		CHECK(is_filled(arena_page(arena, 3), head_byte(3), TAIL));
		show("into what it shares", copy(SYS_process_vm_readv, parent, arena_page(arena, 4),
						  arena_page(arena, 2), 200));
		CHECK(is_filled(arena_page(arena, 4), 'p', 200));
		_exit(0);
	}
	CHECK(read(up[0], &byte, 1) == 1);
	show("read", copy(SYS_process_vm_readv, pid, own, arena_page(arena, 1), TAIL));
	CHECK(is_filled(own, head_byte(1), TAIL));
	memset(own, 'w', sizeof(own));
	show("write", copy(SYS_process_vm_writev, pid, own, arena_page(arena, 1), 100));
	CHECK(is_filled(arena_page(arena, 1), head_byte(1), TAIL));
	memset(arena_page(arena, 2), 'p', 200);
	show("of nobody", copy(SYS_process_vm_readv, 1 << 30, own, arena_page(arena, 1), 10));
	show("of nowhere", copy(SYS_process_vm_writev, pid, own, (void *)0x1000, 10));
	show("of itself", copy(SYS_process_vm_writev, parent, own, arena_page(arena, 5), 100));
	CHECK(is_filled(arena_page(arena, 5), 'w', 100));
	memset(arena_page(arena, 5), head_byte(5), 100);
	CHECK(write(down[1], "g", 1) == 1);
	CHECK(status_of(pid) == 0);
	CHECK(is_filled(arena_page(arena, 3), 'c', 100));
	CHECK(is_filled(arena_page(arena, 4), head_byte(4), TAIL));
	memset(arena_page(arena, 3), head_byte(3), 100);
	memset(arena_page(arena, 2), head_byte(2), 200);
	for (int i = 0; i < 2; i++)
		CHECK(close(up[i]) == 0 && close(down[i]) == 0);
	CHECK(arena_is_intact(arena, 0));
}

int main(void)
{
	return in_every_way(NR, behave);
}

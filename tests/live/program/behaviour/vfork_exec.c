/* vfork, posix_spawn, clone with CLONE_VM and nothing else: one memory, two processes. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <sched.h>
#include <spawn.h>

enum { NR = 6 };

static struct arena *arena;

static int in_same_memory(void *arg)
{
	memset(arena_page(arena, 2), 'c', 100);
	*(volatile int *)arg = 33;
	_exit(4);
}

static void behave(struct arena *given)
{
	char *const echo[] = { "echo", "spawned", NULL }, *const none[] = { NULL };
	volatile int *word;
	char *stack;
	int status;
	pid_t pid;

	arena = given;
	pid = vfork();
	if (pid == 0) {
		memset(arena_page(arena, 0), 'v', 100);
		execl("/bin/sh", "sh", "-c", "exit 3", (char *)NULL);
		_exit(127);
	}
	CHECK(pid > 0);
	CHECK(is_filled(arena_page(arena, 0), 'v', 100));
	printf("vfork, exec: %d\n", WEXITSTATUS(status_of(pid)));

	pid = vfork();
	if (pid == 0) {
		execl("/nowhere/at/all", "x", (char *)NULL);
		memset(arena_page(arena, 1), 'w', 100);
		_exit(5);
	}
	printf("vfork, no exec: %d\n", WEXITSTATUS(status_of(pid)));
	CHECK(is_filled(arena_page(arena, 1), 'w', 100));

	fflush(stdout);
	CHECK(posix_spawn(&pid, "/bin/echo", NULL, NULL, echo, none) == 0);
	printf("posix_spawn: %d\n", WEXITSTATUS(status_of(pid)));
	CHECK(posix_spawn(&pid, "/nowhere/at/all", NULL, NULL, echo, none) == ENOENT);

	stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	word = (volatile int *)(arena_page(arena, 3) + 64);
	*word = 0;
	pid = clone(in_same_memory, stack + 65536, CLONE_VM | SIGCHLD, (void *)word);
	CHECK(pid > 0);
	status = status_of(pid);
	printf("clone: %d, %d, %c\n", WEXITSTATUS(status), *word, *arena_page(arena, 2));
	munmap(stack, 65536);
	/* The memory is still what it was in every other respect. */
	CHECK(is_filled(arena_page(arena, 4), head_byte(4), TAIL));
	pid = fork();
	if (pid == 0) {
		memset(arena_page(arena, 5), 'f', TAIL);
		_exit(*arena_page(arena, 0) == 'v' ? 6 : 1);
	}
	printf("fork: %d\n", WEXITSTATUS(status_of(pid)));
	CHECK(is_filled(arena_page(arena, 5), head_byte(5), TAIL));
}

int main(void)
{
	return in_every_way(NR, behave);
}

/*
 * An asynchronous read into a block of the heap is in flight while a helper is
 * started with fork and exec, and the next block of the heap is written.
 *
 * Mended: the helper is started with posix_spawn(3).
 */
#define _GNU_SOURCE
#include "aio.h"

#include <spawn.h>

static pid_t start_helper(void)
{
	char *argv[] = { "true", NULL }, *none[] = { NULL };
	pid_t pid;

#ifdef MENDED
	if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, none))
		die("cannot start the helper");
#else
	pid = fork(); /* forks */
	if (pid == 0) {
		execve("/bin/true", argv, none);
		_exit(127);
	}
#endif
	return pid;
}

int main(void)
{
	struct file file = open_file();
	unsigned char *block = aligned_alloc(SECTOR, PAGE);
	char *title = malloc(100);
	aio_context_t context;
	pid_t pid;

	if (!block || !title)
		die("no memory");
	write_sectors(&file, PAGE);
	memset(block, FILL, PAGE);
	context = begin_read(file.direct, block, PAGE, 0); /* takes */
	pid = start_helper();
	strcpy(title, "beside the block"); /* breaks */
	wait_child(pid);
	end_read(context, PAGE);
	return check_sectors("block", block, PAGE, 0) ? WRONG_BYTE : ALL_RIGHT;
}

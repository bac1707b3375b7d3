/*
 * A read into an array on the stack is in flight over a fork, and the function
 * goes on with its other variables.
 *
 * Mended: the pages of the buffer are left out of the fork; they are no part of the stack.
 */
#define _GNU_SOURCE
#include "aio.h"

static long load(struct file *file, unsigned char *buffer, volatile int *tries)
{
	aio_context_t context = begin_read(file->direct, buffer, SECTOR, 0); /* takes */
	pid_t pid = fork(); /* forks */

	if (pid == 0)
		_exit(0);
	*tries += 1; /* breaks */
	wait_child(pid);
	end_read(context, SECTOR);
	return check_sectors("buffer", buffer, SECTOR, 0);
}

int main(void)
{
	struct file file = open_file();
	struct {
		unsigned char buffer[SECTOR] __attribute__((aligned(PAGE)));
		volatile int tries;
	} local = { .tries = 0 };
	unsigned char *buffer = local.buffer;

	write_sectors(&file, SECTOR);
#ifdef MENDED
	buffer = map_pages(PAGE, true);
#endif
	memset(buffer, FILL, SECTOR);
	return load(&file, buffer, &local.tries) ? WRONG_BYTE : ALL_RIGHT;
}

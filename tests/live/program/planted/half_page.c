/*
 * A device has the first half of a page for a while, and a counter is in the
 * other half: a fork, then a count, and the page is another one than the device's.
 *
 * Mended: the counter has another page.
 */
#define _GNU_SOURCE
#include "aio.h"

enum { HALF = PAGE / 2 };

static struct {
	unsigned char ring[HALF];
#ifdef MENDED
	unsigned char unused[HALF];
#endif
	volatile long served;
} __attribute__((aligned(PAGE))) shared;

int main(void)
{
	struct file file = open_file();
	aio_context_t context;
	pid_t pid;

	write_sectors(&file, HALF);
	memset(shared.ring, FILL, HALF);
	context = begin_read(file.direct, shared.ring, HALF, 0); /* takes */
	pid = fork(); /* forks */
	if (pid == 0)
		_exit(0);
	shared.served++; /* breaks */
	wait_child(pid);
	end_read(context, HALF);
	return check_sectors("ring", shared.ring, HALF, 0) ? WRONG_BYTE : ALL_RIGHT;
}

/*
 * A key is put where a child had its own eyes on: it has given the page to a pipe
 * and unmapped it, so that the parent stores to it in place.
 *
 * Mended: the key has memory that was mapped after the fork.
 */
#define _GNU_SOURCE
#include "common.h"

#include <sys/uio.h>

static const char key[] = "the parent's key";

/* Never returns. */
static void spy(unsigned char *page, int ready, struct gate gate)
{
	struct iovec iov = { page, PAGE };
	unsigned char got[PAGE];
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) || vmsplice(ends[1], &iov, 1, 0) != PAGE) /* takes */
		die("vmsplice");
	if (munmap(page, PAGE))
		die("munmap");
	close(ready);
	wait_gate(gate);
	if (read(ends[0], got, PAGE) != PAGE)
		die("read");
	_exit(memcmp(got, key, sizeof(key)) ? ALL_RIGHT : WRONG_BYTE);
}

int main(void)
{
	unsigned char *page = map_pages(PAGE, false);
	struct gate gate = make_gate();
	int ready[2], status;
	char byte;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		die("pipe");
	pid = fork(); /* forks */
	if (pid == 0)
		spy(page, ready[1], gate);
	close(ready[1]);
	while (read(ready[0], &byte, 1) < 0)
		;
#ifdef MENDED
	page = map_pages(PAGE, false);
#endif
	memcpy(page, key, sizeof(key)); /* breaks */
	open_gate(gate);
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	return WEXITSTATUS(status);
}

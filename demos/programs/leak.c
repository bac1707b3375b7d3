/*
 * A child that is not to be trusted reads what its parent stores after the fork
 * (CVE-2020-29374): it puts a page that they share into a pipe, and unmaps it.
 *
 *	parent         child                 page
 *	-------------  --------------------  -----------------------------------
 *	fork                                 frame A, shared
 *	               vmsplice: get it      A, shared, and in the pipe
 *	               munmap                the parent's alone, says its mapcount
 *	store secret                         into A: nobody else maps it
 *	               read the pipe         A: the secret
 *
 * Since v5.8 get_user_pages breaks copy-on-write before it takes a page, and since
 * v5.9 a write fault copies what anybody else refers to. MADV_DONTFORK (-d) leaves
 * the child without the page; a parent that stores to memory of its own before it
 * forks, and keeps secrets elsewhere (-p), has nothing to lose.
 */
#define _GNU_SOURCE
#include "common.h"

#include <sys/uio.h>

#define USAGE                                                                \
	"[-d] [-p]\n"                                                        \
	"  -d  MADV_DONTFORK on the page\n"                                  \
	"  -p  the secret has a page that is mapped after the fork"

enum { SECRET = 16 };

static const char secret[SECRET] = "the parent's own";

/* Put a page into a pipe and give it back: what the pipe has then. Never returns. */
__attribute__((noreturn))
static void spy(unsigned char *page, struct gate gate, int ready)
{
	struct iovec iov = { page, PAGE };
	unsigned char got[PAGE];
	int ends[2];
	ssize_t count;

	if (pipe2(ends, O_CLOEXEC))
		die("pipe");
	count = vmsplice(ends[1], &iov, 1, 0);
	if (count < 0 && errno == EFAULT) {
		/* It does not have that page. */
		close(ready);
		wait_gate(gate);
		_exit(ALL_RIGHT);
	}
	if (count != PAGE)
		die("vmsplice");
	if (munmap(page, PAGE))
		die("munmap");
	close(ready);
	wait_gate(gate);
	if (read(ends[0], got, PAGE) != PAGE)
		die("read");
	_exit(memcmp(got, secret, SECRET) ? ALL_RIGHT : WRONG_BYTE);
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, "dp", USAGE);
	unsigned char *page = map_pages(PAGE, options.dontfork);
	struct gate gate = make_gate();
	int ready[2], status;
	char byte;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		spy(page, gate, ready[1]);
	close(ready[1]);
	while (read(ready[0], &byte, 1) < 0 && errno == EINTR)
		;
	memcpy(options.whole_pages ? map_pages(PAGE, false) : page, secret, SECRET);
	open_gate(gate);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	errno = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) > WRONG_BYTE)
		die("the child ended with wait status %#x", (unsigned)status);
	printf("the child has %s\n", WEXITSTATUS(status) ? "read the secret" : "learned nothing");
	return WEXITSTATUS(status) ? WRONG_BYTE : ALL_RIGHT;
}

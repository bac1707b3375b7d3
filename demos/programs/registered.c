/*
 * A fork after io_uring has registered a buffer: what is read into it by
 * IORING_OP_READ_FIXED goes to the page that was registered, for as long as it is.
 *
 * Nothing has to be in flight while the program forks: a registration is there
 * until it is taken back, so that one fork and one store, at any time, are enough.
 *
 *	main                            child          page
 *	------------------------------  -------------  ------------------------
 *	io_uring_register: get it                      frame A
 *	fork                                           A, shared
 *	store 'P'                                      parent: B, a copy
 *	READ_FIXED: DMA                                into A
 *	looks into                                     B: nothing
 *	                                ends
 *
 * A kernel that pins what is registered copies it for the child at fork (since
 * v5.9). MADV_DONTFORK (-d) leaves the child without it, posix_spawn (-f spawn) makes
 * no second set of page tables; and without a store to its page (-p) the parent
 * keeps the frame.
 */
#define _GNU_SOURCE
#include "common.h"
#include "ring.h"

#define USAGE                                                                \
	"[-f fork|spawn|none] [-d] [-p]\n"                                   \
	"  -f  how the other process begins (fork)\n"                        \
	"  -d  MADV_DONTFORK on the buffer\n"                                \
	"  -p  a buffer of a whole page, beside which nothing is stored"

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, "f:dp", USAGE);
	struct file file = open_file();
	unsigned char *pages = map_pages(2 * PAGE, options.dontfork);
	unsigned char *buffer = pages + PAGE - SECTOR;
	/* In the page of the buffer, or in the other one. */
	unsigned char *beside = options.whole_pages ? pages + PAGE : pages;
	struct iovec registered = { buffer, SECTOR };
	struct gate gate = make_gate();
	struct ring ring;
	int result;
	pid_t pid;
	long wrong;

	write_sectors(&file, PAGE);
	if (ring_open(&ring, 1, 0, 0))
		die("io_uring_setup");
	if (ring_register(&ring, IORING_REGISTER_BUFFERS, &registered, 1))
		die("io_uring_register");
	pid = start_child(options.child);
	if (pid == 0) {
		wait_gate(gate);
		_exit(0);
	}
	*(volatile unsigned char *)beside = 'P';
	ring_rw(&ring, IORING_OP_READ_FIXED, file.direct, buffer, SECTOR, SECTOR, 0);
	result = ring_do(&ring);
	errno = 0;
	if (result != SECTOR)
		die("the read gives %d", result);
	open_gate(gate);
	wait_child(pid);

	wrong = check_sectors("registered buffer", buffer, SECTOR, SECTOR);
	if (*beside != 'P') {
		printf("store: at %p is %02x, not what was stored\n", (void *)beside, *beside);
		wrong++;
	}
	printf("%ld of %d bytes are wrong\n", wrong, SECTOR + 1);
	ring_close(&ring);
	return wrong ? WRONG_BYTE : ALL_RIGHT;
}

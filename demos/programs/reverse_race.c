/*
 * A process forks and then writes its memory to a file with O_DIRECT. Whose
 * bytes are in the file: can they be the child's?
 *
 * The write is under way when parent and child store to the pages, first the
 * parent, then the child. Bytes of the parent may well get into the file: it
 * stores to memory that it is writing. Bytes of the child may not: what it has
 * in its memory is nobody else's business.
 *
 *	writer          parent          child           the pages of the buffer
 *	--------------  --------------  --------------  -------------------------
 *	                fork                            frame A, read-only, of both
 *	write: get it                                   the device is to read A
 *	                stores 'P'                      copy A to B: the parent has
 *	                                                B, the child alone has A
 *	                                stores 'C'      nobody else maps A: into A
 *	device: DMA                                     reads A, and finds 'C'
 *	                                                there
 *
 * For comparison: a child without these pages (-d), a child with no page
 * tables of ours (-f spawn), no child.
 */
#define _GNU_SOURCE
#include "common.h"

#include <pthread.h>

#define USAGE                                                                \
	"[-f fork|spawn|none] [-d]\n"                                        \
	"  -f  how the other process begins (fork)\n"                        \
	"  -d  MADV_DONTFORK on the buffer: the child has none to store to"

enum { LENGTH = 64 * PAGE };
enum { HEAD_START_US = 10000 };

struct writer {
	int fd;
	unsigned char *buffer;
	pthread_barrier_t start;
};

static void *write_once(void *arg)
{
	struct writer *writer = arg;
	ssize_t count;

	pthread_barrier_wait(&writer->start);
	count = pwrite(writer->fd, writer->buffer, LENGTH, 0);
	if (count != LENGTH)
		die("write of %d bytes gives %zd", LENGTH, count);
	return NULL;
}

__attribute__((noreturn))
static void be_child(struct gate gate, unsigned char *buffer, bool has_buffer)
{
	wait_gate(gate);
	if (has_buffer)
		memset(buffer, 'C', LENGTH);
	_exit(0);
}

/* Print where the file has something that the parent never had. */
static long check_file(int fd)
{
	unsigned char page[PAGE];
	long wrong = 0;

	for (long offset = 0; offset < LENGTH; offset += PAGE) {
		if (pread(fd, page, PAGE, offset) != PAGE)
			die("cannot read the file at %ld", offset);
		for (long i = 0, first; i < PAGE; i++) {
			for (first = i; i < PAGE && page[i] != FILL && page[i] != 'P'; i++)
				;
			if (i == first)
				continue;
			printf("offset %ld of the file: %ld bytes that the parent never had:",
			       offset + first, i - first);
			print_bytes(page + first, i - first);
			printf("%s\n", page[first] == 'C' ? ": the child's" : "");
			wrong += i - first;
		}
	}
	return wrong;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, "f:d", USAGE);
	struct file file = open_file();
	unsigned char *buffer = map_pages(LENGTH, options.dontfork);
	struct writer writer = { .fd = file.direct, .buffer = buffer };
	struct gate gate = make_gate();
	pthread_t thread;
	long wrong;
	pid_t pid;

	pthread_barrier_init(&writer.start, NULL, 2);
	pid = start_child(options.child);
	if (pid == 0)
		be_child(gate, buffer, !options.dontfork);
	errno = pthread_create(&thread, NULL, write_once, &writer);
	if (errno)
		die("cannot start a thread");

	pthread_barrier_wait(&writer.start);
	/* write() cannot say that it has the pages and is not over: let it begin. */
	usleep(HEAD_START_US);
	memset(buffer, 'P', LENGTH);
	open_gate(gate);
	wait_child(pid);
	pthread_join(thread, NULL);

	wrong = check_file(file.buffered);
	printf("%ld of %d bytes are wrong\n", wrong, LENGTH);
	return wrong ? WRONG_BYTE : ALL_RIGHT;
}

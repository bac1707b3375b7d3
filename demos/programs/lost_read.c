/*
 * Threads read a file with O_DIRECT while another thread forks: does every
 * byte arrive in the buffers?
 *
 * Each reader has a buffer of 4096 bytes that begins 512 bytes into a page, so
 * that neighbours share a page: the buffer of reader 0 ends where the buffer of
 * reader 1 begins. Nobody ever stores to a byte that is being read. But the
 * kernel, too, breaks COW, when it looks up a page that it is to write to.
 *
 *	reader 0       reader 1       forker         the page both have bytes in
 *	-------------  -------------  -------------  ------------------------------
 *	read: get it                                 frame A; the device knows A
 *	                              fork           A, read-only, also the child's
 *	               read: get it                  to write it: copy A to B; the
 *	                                             parent has B, the child has A
 *	device: DMA                                  into A, which is not its page
 *	               device: DMA                   into B
 *	returns 4096                                 its last 512 bytes are not
 *	                                             there: B has what was before
 *
 * With whole pages (-p) there is no second reader to break COW, with
 * MADV_DONTFORK (-d) the child does not have the page, and with posix_spawn
 * (-f spawn) there is no second set of page tables: those are for comparison.
 */
#define _GNU_SOURCE
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>

#define USAGE                                                                \
	"[-w READERS] [-r ROUNDS] [-f fork|spawn|none] [-d] [-p]\n"          \
	"  -w  threads that read, each once in a round (4)\n"                \
	"  -r  rounds, each at another place of the file (3)\n"              \
	"  -f  how the other process begins (fork)\n"                        \
	"  -d  MADV_DONTFORK on the buffers\n"                               \
	"  -p  buffers of whole pages, which share none"

struct reader {
	pthread_t thread;
	int fd;
	unsigned char *buffer;
	long offset;
};

static pthread_barrier_t start;
static atomic_bool reads_over;

static void *read_once(void *arg)
{
	struct reader *reader = arg;
	ssize_t count;

	pthread_barrier_wait(&start);
	count = pread(reader->fd, reader->buffer, PAGE, reader->offset);
	if (count != PAGE)
		die("read of %d bytes at %ld gives %zd", PAGE, reader->offset, count);
	return NULL;
}

/* At least one fork in a round: it may take longer than all the reads. */
static void *fork_on_and_on(void *arg)
{
	const struct options *options = arg;
	pid_t pid;

	pthread_barrier_wait(&start);
	do {
		pid = start_child(options->child);
		if (pid == 0)
			_exit(0);
		wait_child(pid);
		/* fork has mmap_lock for writing; let the readers have it too. */
		usleep(100);
	} while (!atomic_load(&reads_over));
	return NULL;
}

static void start_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
	errno = pthread_create(thread, NULL, run, arg);
	if (errno)
		die("cannot start a thread");
}

static void run_round(struct reader *readers, struct options *options)
{
	pthread_t forker;

	atomic_store(&reads_over, false);
	start_thread(&forker, fork_on_and_on, options);
	for (int j = 0; j < options->readers; j++)
		start_thread(&readers[j].thread, read_once, &readers[j]);
	for (int j = 0; j < options->readers; j++)
		pthread_join(readers[j].thread, NULL);
	atomic_store(&reads_over, true);
	pthread_join(forker, NULL);
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv, "w:r:f:dp", USAGE);
	int n = options.readers;
	size_t area = (size_t)(n + 1) * PAGE;
	struct reader *readers = calloc((size_t)n, sizeof(*readers));
	struct file file = open_file();
	unsigned char *pages = map_pages(area, options.dontfork);
	long wrong = 0;

	if (!readers)
		die("no memory");
	write_sectors(&file, (long)options.rounds * n * PAGE);
	pthread_barrier_init(&start, NULL, (unsigned)n + 1);
	for (int round = 0; round < options.rounds; round++) {
		memset(pages, FILL, area);
		for (int j = 0; j < n; j++) {
			readers[j].fd = file.direct;
			readers[j].buffer = pages + (options.whole_pages ? 0 : SECTOR) + j * PAGE;
			readers[j].offset = ((long)round * n + j) * PAGE;
		}
		run_round(readers, &options);
		for (int j = 0; j < n; j++) {
			char whose[64];

			snprintf(whose, sizeof(whose), "round %d, reader %d", round, j);
			wrong += check_sectors(whose, readers[j].buffer, PAGE, readers[j].offset);
		}
	}
	printf("%ld of %ld bytes are wrong\n", wrong, (long)options.rounds * n * PAGE);
	return wrong ? WRONG_BYTE : ALL_RIGHT;
}

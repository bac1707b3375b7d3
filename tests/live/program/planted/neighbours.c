/*
 * Records of 512 bytes, one beside the other, each read by a thread of its own
 * while another thread forks: what one read breaks COW for, the other one loses.
 *
 * Mended: a page for each record.
 */
#define _GNU_SOURCE
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>

#ifdef MENDED
#define STRIDE PAGE
#else
#define STRIDE SECTOR
#endif

enum { RECORDS = 4 };

static struct file file;
static unsigned char *records;
static pthread_barrier_t start;
static atomic_bool is_over;

static void *load_record(void *arg)
{
	long number = (long)arg;
	unsigned char *record = records + number * STRIDE;

	pthread_barrier_wait(&start);
	if (pread(file.direct, record, SECTOR, number * SECTOR) != SECTOR) /* takes */
		die("read of record %ld", number);
	return NULL;
}

static void *fork_often(void *arg)
{
	pid_t pid;

	pthread_barrier_wait(&start);
	do {
		pid = fork(); /* forks */
		if (pid == 0)
			_exit(0);
		wait_child(pid);
		usleep(100);
	} while (!atomic_load(&is_over));
	return arg;
}

int main(void)
{
	pthread_t readers[RECORDS], forker;
	long wrong = 0;

	file = open_file();
	write_sectors(&file, RECORDS * SECTOR);
	records = map_pages(RECORDS * PAGE, false);
	pthread_barrier_init(&start, NULL, RECORDS + 1);
	pthread_create(&forker, NULL, fork_often, NULL);
	for (long i = 0; i < RECORDS; i++)
		pthread_create(&readers[i], NULL, load_record, (void *)i);
	for (long i = 0; i < RECORDS; i++)
		pthread_join(readers[i], NULL);
	atomic_store(&is_over, true);
	pthread_join(forker, NULL);
	for (long i = 0; i < RECORDS; i++)
		wrong += check_sectors("record", records + i * STRIDE, SECTOR, i * SECTOR);
	return wrong ? WRONG_BYTE : ALL_RIGHT;
}

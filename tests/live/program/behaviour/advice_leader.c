/* Advice about forks counts where the leader has ended and another thread forks. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <pthread.h>

static unsigned char *pages;
static pthread_t leader;

static void *in_thread(void *arg)
{
	int fd = open_data(O_DIRECT);
	unsigned char resident;
	pid_t pid;

	(void)arg;
	CHECK(pthread_join(leader, NULL) == 0);
	CHECK(pread(fd, pages, 2 * PAGE, 0) == 2 * PAGE);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(mincore(pages, PAGE, &resident) == -1 && errno == ENOMEM &&
		      is_filled(pages + PAGE, 0, PAGE) ? 0 : 1);
	CHECK(status_of(pid) == 0);
	CHECK(is_filled(pages, sector_byte(0), SECTOR));
	puts("no page, and a wiped one");
	puts("EXIT-SUCCESS");
	exit(0);
}

int main(void)
{
	pthread_t thread;

	pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED);
	memset(pages, 1, 2 * PAGE);
	CHECK(madvise(pages, PAGE, MADV_DONTFORK) == 0);
	CHECK(madvise(pages + PAGE, PAGE, MADV_WIPEONFORK) == 0);
	leader = pthread_self();
	CHECK(pthread_create(&thread, NULL, in_thread, NULL) == 0);
	pthread_exit(NULL);
}

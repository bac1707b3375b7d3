/*
 * Rows of the ground truth, carried out with io_uring's registered buffers, or with vmsplice.
 *
 *	rows HOW CASE STEPS ...
 *
 * HOW is "single", or "linked": the transfer is in the middle of a chain then; or "vmsplice".
 * STEPS are a row's, as they stand there. For each case a line says what is seen at the row's
 * places.
 */
#define _GNU_SOURCE
#include "../behaviour/behaviour.h"
#include "../../../../demos/programs/ring.h"

#include <spawn.h>

extern char **environ;

enum { LAST = PAGE - SECTOR };

static bool linked;
static int file;

/* One row under way. */
static struct {
	struct ring ring;
	unsigned char *page;
	int map_flags;
	bool whole, in_child;
	int pipe[2];
	char from_device;
	pid_t child;
	int to_child, from_child;
} row;

static void map_page(void)
{
	row.page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, row.map_flags | MAP_ANONYMOUS, -1, 0);
	CHECK(row.page != MAP_FAILED);
	madvise(row.page, PAGE, MADV_NOHUGEPAGE);
	memset(row.page, 'I', PAGE);
}

static void pin(void)
{
	struct iovec buffer = { row.page, PAGE };

	CHECK(ring_open(&row.ring, 4, 0, 0) == 0);
	CHECK(ring_register(&row.ring, IORING_REGISTER_BUFFERS, &buffer, 1) == 0);
}

/* The file has a page of D and then a page of E. */
static void transfer(char letter)
{
	size_t at = row.whole ? 0 : LAST, length = PAGE - at;
	unsigned count = linked ? 3 : 1;
	struct io_uring_sqe *sqe;
	uint64_t data;
	int result;

	if (linked)
		ring_rw(&row.ring, IORING_OP_NOP, -1, NULL, 0, 0, 0)->flags = IOSQE_IO_LINK;
	sqe = ring_rw(&row.ring, IORING_OP_READ_FIXED, file, row.page + at, length,
		      letter == 'D' ? 0 : PAGE, 1);
	sqe->flags = linked ? IOSQE_IO_LINK : 0;
	if (linked)
		ring_rw(&row.ring, IORING_OP_FSYNC, file, NULL, 0, 0, 2);
	CHECK(ring_enter(&row.ring, count, count) == count);
	while (ring_reap(&row.ring, &data, &result))
		CHECK(result == (data == 1 ? (int)length : 0));
}

/* The page goes to a pipe, and what the pipe has of it is read. */
static void give_to_pipe(void)
{
	struct iovec iov = { row.page, PAGE };

	CHECK(pipe2(row.pipe, O_CLOEXEC) == 0);
	CHECK(vmsplice(row.pipe[1], &iov, 1, 0) == PAGE);
}

static char read_pipe(void)
{
	char got[PAGE];

	CHECK(read(row.pipe[0], got, PAGE) == PAGE);
	close(row.pipe[0]);
	close(row.pipe[1]);
	return got[PAGE - 1];
}

/* The letter at a place of our own memory: written, since that can tell that there is none. */
static char letter_at(size_t offset, int ends[2])
{
	char letter;

	if (write(ends[1], row.page + offset, 1) < 0)
		return '-';
	CHECK(read(ends[0], &letter, 1) == 1);
	return letter ? letter : '0';
}

static void look(char seen[2])
{
	int ends[2];

	CHECK(pipe(ends) == 0);
	seen[0] = letter_at(LAST, ends);
	seen[1] = letter_at(0, ends);
	close(ends[0]);
	close(ends[1]);
}

/* The child does what it is told: one letter each, and one is answered. */
static void obey(int in, int out)
{
	char what, seen[2];

	while (read(in, &what, 1) == 1) {
		memset(seen, what, 2);
		if (what == 'C')
			row.page[0] = 'C';
		else if (what == 'c')
			row.page[PAGE - 1] = 'C';
		else if (what == 'v')
			give_to_pipe();
		else if (what == 'm')
			CHECK(munmap(row.page, PAGE) == 0);
		else if (what == 'r')
			memset(seen, read_pipe(), 2);
		else if (what == 'p')
			pin();
		else if (what == 'd')
			transfer('D');
		else if (what == 'l')
			look(seen);
		CHECK(write(out, seen, 2) == 2);
	}
	_exit(0);
}

static void tell_child(char what, char seen[2])
{
	CHECK(write(row.to_child, &what, 1) == 1);
	CHECK(read(row.from_child, seen, 2) == 2);
}

static void child_exits(void)
{
	if (!row.child)
		return;
	close(row.to_child);
	close(row.from_child);
	CHECK(status_of(row.child) == 0);
	row.child = 0;
}

static void fork_child(void)
{
	int down[2], up[2];

	child_exits();
	CHECK(pipe2(down, O_CLOEXEC) == 0 && pipe2(up, O_CLOEXEC) == 0);
	row.child = fork();
	CHECK(row.child >= 0);
	if (row.child == 0) {
		close(down[1]);
		close(up[0]);
		obey(down[0], up[1]);
	}
	close(down[0]);
	close(up[1]);
	row.to_child = down[1];
	row.from_child = up[0];
}

static void vfork_child(void)
{
	pid_t pid = vfork();

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(0);
	CHECK(status_of(pid) == 0);
}

static void spawn_child(void)
{
	char *argv[] = { "true", NULL };
	pid_t pid;

	CHECK(posix_spawnp(&pid, "true", NULL, NULL, argv, environ) == 0);
	CHECK(status_of(pid) == 0);
}

static void step(const char *word)
{
	char seen[2];

	if (!strcmp(word, "RW pin")) {
		pin();
	} else if (!strcmp(word, "parent RW-pins shared page")) {
		row.whole = true;
		pin();
	} else if (!strcmp(word, "child RW-pins shared page")) {
		row.whole = row.in_child = true;
		tell_child('p', seen);
	} else if (!strcmp(word, "fork") || !strcmp(word, "fork again")) {
		fork_child();
	} else if (!strcmp(word, "child exits")) {
		child_exits();
	} else if (!strcmp(word, "parent writes") || !strcmp(word, "then parent writes")) {
		row.page[0] = 'P';
	} else if (!strcmp(word, "child writes")) {
		tell_child('C', seen);
	} else if (!strcmp(word, "both write")) {
		row.page[0] = 'P';
		tell_child('C', seen);
	} else if (!strcmp(word, "DMA") && row.in_child) {
		tell_child('d', seen);
	} else if (!strcmp(word, "DMA")) {
		transfer('D');
	} else if (!strcmp(word, "mprotect R then RW")) {
		CHECK(mprotect(row.page, PAGE, PROT_READ) == 0);
		CHECK(mprotect(row.page, PAGE, PROT_READ | PROT_WRITE) == 0);
	} else if (!strcmp(word, "MADV_DONTFORK")) {
		CHECK(madvise(row.page, PAGE, MADV_DONTFORK) == 0);
	} else if (!strcmp(word, "MADV_WIPEONFORK")) {
		CHECK(madvise(row.page, PAGE, MADV_WIPEONFORK) == 0);
	} else if (!strcmp(word, "RO pin")) {
		give_to_pipe();
	} else if (!strcmp(word, "child RO-pins")) {
		tell_child('v', seen);
	} else if (!strcmp(word, "munmaps")) {
		tell_child('m', seen);
	} else if (!strcmp(word, "parent writes P")) {
		memset(row.page, 'P', PAGE);
	} else if (!strcmp(word, "parent writes S") || !strcmp(word, "parent writes secret S")) {
		memset(row.page, 'S', PAGE);
	} else if (!strcmp(word, "child writes C")) {
		tell_child('c', seen);
	} else if (!strcmp(word, "device reads")) {
		row.from_device = read_pipe();
	} else if (!strcmp(word, "child reads pin")) {
		tell_child('r', seen);
		row.from_device = seen[0];
	} else if (!strcmp(word, "vfork")) {
		vfork_child();
	} else if (!strcmp(word, "posix_spawn")) {
		spawn_child();
	} else {
		CHECK(!strcmp(word, "no fork") || !strcmp(word, "nobody writes") ||
		      !strcmp(word, "MAP_SHARED"));
	}
}

/* What is in parentheses only explains; where "-" is seen nothing is mapped. */
static void carry_out(const char *name, char *steps)
{
	char seen[2];

	memset(&row, 0, sizeof(row));
	row.map_flags = strstr(steps, "MAP_SHARED") ? MAP_SHARED : MAP_PRIVATE;
	/* A child that only reports has one of its own. */
	row.whole = strstr(steps, "child RW-pins") != NULL;
	map_page();
	for (char *word = strtok(steps, ","); word; word = strtok(NULL, ",")) {
		char *explained = strstr(word, " (");

		if (explained)
			*explained = 0;
		step(word + (*word == ' '));
	}
	if (row.from_device) {
		printf("%s device_read=%c pin_read=%c\n", name, row.from_device, row.from_device);
		child_exits();
		CHECK(munmap(row.page, PAGE) == 0);
		return;
	}
	look(seen);
	printf("%s parent_dma=%c parent_cpu=%c", name, seen[0], seen[1]);
	if (row.child) {
		tell_child('l', seen);
		printf(" child_dma=%c child_cpu=%c", seen[0], seen[1]);
	}
	child_exits();
	if (!row.whole) {
		transfer('E');
		look(seen);
		printf(" second_dma=%c", seen[0]);
	}
	printf("\n");
	if (row.ring.rings)
		ring_close(&row.ring);
	CHECK(munmap(row.page, PAGE) == 0);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	CHECK(argc >= 4 && argc % 2 == 0);
	linked = !strcmp(argv[1], "linked");
	file = open("letters", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(file >= 0);
	for (int i = 0; i < 2 * PAGE; i++)
		CHECK(write(file, i < PAGE ? "D" : "E", 1) == 1);
	CHECK(fsync(file) == 0 && close(file) == 0);
	file = open("letters", O_RDWR | O_DIRECT | O_CLOEXEC);
	CHECK(file >= 0 && unlink("letters") == 0);
	for (int i = 2; i < argc; i += 2)
		carry_out(argv[i], argv[i + 1]);
	return 0;
}

/*
 * What the programs of this folder share: their options, a file to transfer,
 * memory to transfer it to, a child process, and a look at the result.
 *
 * Exit statuses: 0 every byte is right, 1 some byte is wrong, 2 the program
 * could not do what it is for.
 */
#ifndef UEMU_PROGRAMS_COMMON_H
#define UEMU_PROGRAMS_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, SECTOR = 512 };
enum { ALL_RIGHT = 0, WRONG_BYTE = 1, OWN_ERROR = 2 };

/* A buffer before the transfer. No sector of the file has it: sector_byte(). */
#define FILL 0xee

__attribute__((noreturn, format(printf, 1, 2)))
static inline void die(const char *format, ...)
{
	int err = errno;
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (err)
		fprintf(stderr, ": %s", strerror(err));
	fputc('\n', stderr);
	exit(OWN_ERROR);
}

/* Options */

enum child { CHILD_FORK, CHILD_SPAWN, CHILD_NONE };

struct options {
	enum child child;	/* -f: how the other process begins, if at all */
	bool dontfork;		/* -d: MADV_DONTFORK on the buffers */
	bool whole_pages;	/* -p: no page has bytes of two buffers */
	int readers;		/* -w */
	int rounds;		/* -r */
};

static inline int parse_count(const char *text, int most)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || *end || value < 1 || value > most) {
		errno = 0;
		die("%s is no number from 1 to %d", text, most);
	}
	return (int)value;
}

static inline enum child parse_child(const char *text)
{
	if (!strcmp(text, "fork"))
		return CHILD_FORK;
	if (!strcmp(text, "spawn"))
		return CHILD_SPAWN;
	if (!strcmp(text, "none"))
		return CHILD_NONE;
	errno = 0;
	die("-f is fork, spawn or none, not %s", text);
}

__attribute__((noreturn))
static inline void die_of_use(const char *usage)
{
	fprintf(stderr, "usage: %s %s\n", program_invocation_short_name, usage);
	exit(OWN_ERROR);
}

/* `letters` is for getopt(3): the options that this program has. */
static inline struct options parse_options(int argc, char **argv,
					   const char *letters, const char *usage)
{
	struct options options = { .readers = 4, .rounds = 3 };
	int letter;

	while ((letter = getopt(argc, argv, letters)) != -1) {
		switch (letter) {
		case 'd':
			options.dontfork = true;
			break;
		case 'f':
			options.child = parse_child(optarg);
			break;
		case 'p':
			options.whole_pages = true;
			break;
		case 'r':
			options.rounds = parse_count(optarg, 1000000);
			break;
		case 'w':
			options.readers = parse_count(optarg, 256);
			break;
		default:
			die_of_use(usage);
		}
	}
	if (optind < argc)
		die_of_use(usage);
	return options;
}

/* The file */

struct file {
	int direct;	/* O_DIRECT: the device and the buffer, nothing between */
	int buffered;	/* the same file through the page cache */
};

/* Whether `folder` has a file system that takes O_DIRECT; errno says why not. */
static inline bool open_file_in(const char *folder, struct file *file)
{
	char path[PATH_MAX];
	int err;

	snprintf(path, sizeof(path) - sizeof("/data"), "%s/uemu-XXXXXX", folder);
	if (!mkdtemp(path))
		return false;
	strcat(path, "/data");
	file->buffered = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	file->direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	err = errno;
	/* At once, so that nothing is left behind however the program ends. */
	unlink(path);
	*strrchr(path, '/') = 0;
	rmdir(path);
	errno = err;
	return file->buffered >= 0 && file->direct >= 0;
}

/* Open an empty file without a name: in $TMPDIR, or where the program runs. */
static inline struct file open_file(void)
{
	const char *folder = getenv("TMPDIR");
	struct file file;

	if (folder && *folder && open_file_in(folder, &file))
		return file;
	if (!open_file_in(".", &file))
		die("no file to open with O_DIRECT, neither in $TMPDIR nor here");
	return file;
}

/* What is all over one sector of the file; its neighbours have something else. */
static inline unsigned char sector_byte(long offset)
{
	return (unsigned char)(1 + offset / SECTOR % 127);
}

static inline void write_sectors(const struct file *file, long length)
{
	unsigned char sector[SECTOR];

	for (long offset = 0; offset < length; offset += SECTOR) {
		memset(sector, sector_byte(offset), SECTOR);
		if (pwrite(file->buffered, sector, SECTOR, offset) != SECTOR)
			die("cannot write the file at %ld", offset);
	}
	/* Or else the first direct read does it, before it looks at its buffer. */
	if (fdatasync(file->buffered))
		die("cannot write the file");
}

/* The memory */

/* Private anonymous pages full of FILL. */
static inline unsigned char *map_pages(size_t length, bool dontfork)
{
	unsigned char *pages = mmap(NULL, length, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		die("cannot map %zu bytes", length);
	if (dontfork && madvise(pages, length, MADV_DONTFORK))
		die("madvise(MADV_DONTFORK)");
	memset(pages, FILL, length);
	return pages;
}

/* The other process */

/* Fork, or spawn /bin/true. Returns 0 in a forked child, -1 if there is none. */
static inline pid_t start_child(enum child how)
{
	char *const argv[] = { "true", NULL }, *const envp[] = { NULL };
	pid_t pid = -1;

	switch (how) {
	case CHILD_NONE:
		break;
	case CHILD_SPAWN:
		errno = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, envp);
		if (errno)
			die("cannot spawn /bin/true");
		break;
	case CHILD_FORK:
		pid = fork();
		if (pid < 0)
			die("fork");
	}
	return pid;
}

static inline void wait_child(pid_t pid)
{
	int status;

	if (pid < 0)
		return;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	errno = 0;
	if (status)
		die("the child ended with wait status %#x", (unsigned)status);
}

/* A child that waits at a gate does nothing until its parent opens it. */
struct gate {
	int child, parent;
};

static inline struct gate make_gate(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		die("pipe");
	return (struct gate){ .child = ends[0], .parent = ends[1] };
}

/* In the child. A parent that dies opens it as well. */
static inline void wait_gate(struct gate gate)
{
	char byte;

	close(gate.parent);
	while (read(gate.child, &byte, 1) < 0 && errno == EINTR)
		;
}

static inline void open_gate(struct gate gate)
{
	close(gate.parent);
	close(gate.child);
}

/* The result */

static inline void print_bytes(const unsigned char *bytes, long length)
{
	for (long i = 0; i < length && i < 8; i++)
		printf(" %02x", bytes[i]);
	if (length > 8)
		printf(" ...");
}

/*
 * Compare a buffer with what is at `offset` of the file; print each run of
 * wrong bytes. Returns how many are wrong.
 */
static inline long check_sectors(const char *whose, const unsigned char *buffer,
				 long length, long offset)
{
	long wrong = 0;

	for (long i = 0, first; i < length; i++) {
		bool stale = true;

		for (first = i; i < length && buffer[i] != sector_byte(offset + i); i++)
			stale &= buffer[i] == FILL;
		if (i == first)
			continue;
		printf("%s: %ld of %ld bytes are wrong, from offset %ld of the file, at %p:",
		       whose, i - first, length, offset + first,
		       (const void *)(buffer + first));
		print_bytes(buffer + first, i - first);
		printf(", not %02x%s\n", sector_byte(offset + first),
		       stale ? ": what was there before the read" : "");
		wrong += i - first;
	}
	return wrong;
}

#endif

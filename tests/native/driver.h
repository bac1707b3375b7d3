/*
 * What the files of the driver share: how a test is written, and the one puppet
 * that it has.
 */
#ifndef UEMU_TESTS_DRIVER_H
#define UEMU_TESTS_DRIVER_H

#define _GNU_SOURCE
#include "uemu_native.h"

#define TEST(name) static void test_##name(void)
#define IS(actual, expected) \
	check_is(__FILE__, __LINE__, #actual, (long)(actual), (long)(expected))
#define CHECK(what) check_is(__FILE__, __LINE__, #what, !!(what), 1)
#define CASE(name) { #name, test_##name }

/* Where the puppets of these tests have what they are given. */
#define AREA 0x10000000UL
#define DATA 0x20000000UL

struct test_case {
	const char *name;
	void (*run)(void);
};

/* Those of driver_program.c; one without a name is the last. */
extern const struct test_case program_cases[];

extern const char *puppet_path;

/* The last report, the puppet, `syscall; int3` in it, and its control area. */
extern struct uemu_event ev;
extern struct uemu_entries at;
extern pid_t puppet;
extern uint64_t gadget;
extern char *area;
extern struct uemu_slot *slot;

void check_is(const char *file, int line, const char *what, long actual, long expected);
int64_t call(int64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
	     uint64_t a5);
void to_first_trap(void);
int open_area(unsigned flags);
void map_area(int fd);
void end_puppet(void);

#endif

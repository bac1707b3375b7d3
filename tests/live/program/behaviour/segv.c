/* The program's own faults reach its handler with the right address; it mends pages and goes on. */
#define _GNU_SOURCE
#include "behaviour.h"

#include <setjmp.h>

enum { NR = 8 };

static struct arena *arena;
static sigjmp_buf back;
static volatile sig_atomic_t count;
static unsigned char *volatile address;
static volatile int code;

static void jump(int sig, siginfo_t *info, void *context)
{
	(void)context;
	address = info->si_addr;
	code = info->si_code;
	count++;
	siglongjmp(back, sig);
}

static void mend(int sig, siginfo_t *info, void *context)
{
	unsigned char *page = (unsigned char *)((uintptr_t)info->si_addr & -PAGE);

	(void)sig, (void)context;
	address = info->si_addr;
	code = info->si_code;
	count++;
	CHECK(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
}

/* Whether a store faults, and there. */
static bool store_faults(unsigned char *at)
{
	if (sigsetjmp(back, 1))
		return address == at;
	*(volatile unsigned char *)at = 's';
	return false;
}

static bool load_faults(unsigned char *at)
{
	if (sigsetjmp(back, 1))
		return address == at;
	(void)*(volatile unsigned char *)at;
	return false;
}

static void set(void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
}

static void behave(struct arena *given)
{
	unsigned char *none = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = { .ss_sp = given->pages + 6 * PAGE, .ss_size = 2 * PAGE };
	stack_t disable = { .ss_flags = SS_DISABLE };
	struct sigaction now;
	pid_t pid;

	arena = given;
	count = 0;
	set(jump, 0);
	CHECK(store_faults((unsigned char *)16) && code == SEGV_MAPERR);
	CHECK(load_faults(none + 5) && code == SEGV_ACCERR);
	CHECK(store_faults(none + 6) && code == SEGV_ACCERR);
	printf("NULL, PROT_NONE: %d\n", (int)count);

	/* Pages of the arena. */
	CHECK(mprotect(arena_page(arena, 0), PAGE, PROT_READ) == 0);
	CHECK(store_faults(arena_page(arena, 0) + 100) && code == SEGV_ACCERR);
	CHECK(!load_faults(arena_page(arena, 0) + 100));
	CHECK(mprotect(arena_page(arena, 1), PAGE, PROT_NONE) == 0);
	CHECK(store_faults(arena_page(arena, 1) + 200));
	CHECK(load_faults(arena_page(arena, 1) + 300));
	CHECK(!store_faults(arena_page(arena, 2) + 300));
	CHECK(mprotect(arena_page(arena, 0), 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
	CHECK(!store_faults(arena_page(arena, 0) + 100));
	CHECK(!store_faults(arena_page(arena, 1) + 200));
	CHECK(*arena_page(arena, 0) == head_byte(0) && *arena_page(arena, 1) == head_byte(1));
	printf("mprotect: %d\n", (int)count);

	/* A collector's write barrier, over a fork. */
	set(mend, SA_ONSTACK);
	CHECK(sigaltstack(&stack, NULL) == 0);
	CHECK(mprotect(arena_page(arena, 3), 2 * PAGE, PROT_READ) == 0);
	pid = fork();
	CHECK(pid >= 0);
	*(volatile unsigned char *)(arena_page(arena, 3) + 1) = pid ? 'p' : 'c';
	CHECK(address == arena_page(arena, 3) + 1 && code == SEGV_ACCERR);
	*(volatile unsigned char *)(arena_page(arena, 4) + 2) = pid ? 'p' : 'c';
	CHECK(address == arena_page(arena, 4) + 2);
	if (pid == 0) {
		CHECK(arena_page(arena, 3)[1] == 'c' && arena_page(arena, 4)[2] == 'c');
		_exit(count == 8 ? 0 : 2);
	}
	CHECK(status_of(pid) == 0);
	CHECK(arena_page(arena, 3)[1] == 'p' && arena_page(arena, 4)[2] == 'p');
	printf("mended: %d\n", (int)count);
	CHECK(sigaction(SIGSEGV, NULL, &now) == 0 && now.sa_sigaction == mend);
	CHECK((now.sa_flags & (SA_SIGINFO | SA_ONSTACK)) == (SA_SIGINFO | SA_ONSTACK));
	CHECK(sigaltstack(&disable, NULL) == 0);

	/* Sent, it is no fault. */
	set(jump, 0);
	if (!sigsetjmp(back, 1))
		raise(SIGSEGV);
	CHECK(code == SI_TKILL);

	/* Who has no handler dies of it. */
	pid = fork();
	if (pid == 0) {
		CHECK(signal(SIGSEGV, SIG_DFL) != SIG_ERR);
		*arena_page(arena, 5) = 's';
		*(volatile char *)none = 1;
	}
	printf("status %#x\n", status_of(pid) & 0x7f);
	CHECK(signal(SIGSEGV, SIG_DFL) != SIG_ERR);
	CHECK(munmap(none, PAGE) == 0);
}

int main(void)
{
	return in_every_way(NR, behave);
}

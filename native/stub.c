/*
 * The code that runs inside a traced process, copied into each code page of
 * its control area. It is position-independent: everything it needs lies at
 * a fixed distance from itself (uemu_native.h), so it needs no register to
 * find its slot, and it touches no stack, which may be write-protected.
 *
 * `resume` is what makes one ptrace stop enough for a fault: the tracer sets
 * rip alone. Whatever the calls clobber is saved first and put back last,
 * the arithmetic flags by lahf and seto, since pushf would need a stack.
 */
#include "uemu_native.h"

#include <string.h>

#define STR_(x) #x
#define STR(x) STR_(x)

#define SLOT "uemu_stub+(" STR(UEMU_SLOTS) "*4096)"
#define IP SLOT "+0(%rip)"
#define COUNT SLOT "+8(%rip)"
#define ADDR SLOT "+16(%rip)"
#define LENGTH SLOT "+24(%rip)"
#define VALUE SLOT "+32(%rip)"
#define SAVED(n) SLOT "+40+8*" #n "(%rip)"
#define CALLS SLOT "+256(%rip)"
#define BUFFER "uemu_stub+(2*" STR(UEMU_SLOTS) "*4096)(%rip)"

_Static_assert(offsetof(struct uemu_slot, ip) == 0, "IP");
_Static_assert(offsetof(struct uemu_slot, count) == 8, "COUNT");
_Static_assert(offsetof(struct uemu_slot, addr) == 16, "ADDR");
_Static_assert(offsetof(struct uemu_slot, length) == 24, "LENGTH");
_Static_assert(offsetof(struct uemu_slot, value) == 32, "VALUE");
_Static_assert(offsetof(struct uemu_slot, saved) == 40, "SAVED");
_Static_assert(offsetof(struct uemu_slot, calls) == 256, "CALLS");
_Static_assert(sizeof(struct uemu_call) == 64, "the step of the loop");
_Static_assert(sizeof(struct uemu_slot) <= 4096, "a slot is a page");

extern const char uemu_stub[], uemu_stub_end[];
extern const char uemu_stub_resume[], uemu_stub_calls[], uemu_stub_syscall[];
extern const char uemu_stub_store_bytes[], uemu_stub_load_bytes[];
extern const char uemu_stub_store1[], uemu_stub_store2[], uemu_stub_store4[], uemu_stub_store8[];
extern const char uemu_stub_load1[], uemu_stub_load2[], uemu_stub_load4[], uemu_stub_load8[];

/* Load one call's registers from rbx, make it, note the result, step on. */
#define ONE_CALL                          \
	"	mov 0(%rbx), %rax\n"      \
	"	mov 8(%rbx), %rdi\n"      \
	"	mov 16(%rbx), %rsi\n"     \
	"	mov 24(%rbx), %rdx\n"     \
	"	mov 32(%rbx), %r10\n"     \
	"	mov 40(%rbx), %r8\n"      \
	"	mov 48(%rbx), %r9\n"      \
	"	syscall\n"                \
	"	mov %rax, 56(%rbx)\n"     \
	"	add $64, %rbx\n"          \
	"	cmp $-4095, %rax\n"

#define ACCESS(store, load, reg)                          \
	"uemu_stub_" store ":\n"                          \
	"	mov " ADDR ", %rdi\n"                     \
	"	mov " VALUE ", %rax\n"                    \
	"	mov %" reg ", (%rdi)\n"                   \
	"	int3\n"                                   \
	"uemu_stub_" load ":\n"                           \
	"	mov " ADDR ", %rsi\n"                     \
	"	mov (%rsi), %" reg "\n"                   \
	"	mov %" reg ", " VALUE "\n"                \
	"	int3\n"

__asm__(
	".pushsection .rodata\n"
	".balign 16\n"
	"uemu_stub:\n"
	"uemu_stub_syscall:\n"
	"	syscall\n"
	"	int3\n"

	"uemu_stub_calls:\n"
	"	lea " CALLS ", %rbx\n"
	"1:\n"
	ONE_CALL
	"	jae 2f\n"
	"	decq " COUNT "\n"
	"	jnz 1b\n"
	"2:	int3\n"

	"uemu_stub_resume:\n"
	"	mov %rax, " SAVED(0) "\n"
	"	lahf\n"
	"	seto %al\n"
	"	mov %rax, " SAVED(1) "\n"
	"	mov %rbx, " SAVED(2) "\n"
	"	mov %rcx, " SAVED(3) "\n"
	"	mov %rdx, " SAVED(4) "\n"
	"	mov %rsi, " SAVED(5) "\n"
	"	mov %rdi, " SAVED(6) "\n"
	"	mov %r8, " SAVED(7) "\n"
	"	mov %r9, " SAVED(8) "\n"
	"	mov %r10, " SAVED(9) "\n"
	"	mov %r11, " SAVED(10) "\n"
	"	lea " CALLS ", %rbx\n"
	"1:\n"
	ONE_CALL
	"	jae 2b\n"
	"	decq " COUNT "\n"
	"	jnz 1b\n"
	"	mov " SAVED(2) ", %rbx\n"
	"	mov " SAVED(3) ", %rcx\n"
	"	mov " SAVED(4) ", %rdx\n"
	"	mov " SAVED(5) ", %rsi\n"
	"	mov " SAVED(6) ", %rdi\n"
	"	mov " SAVED(7) ", %r8\n"
	"	mov " SAVED(8) ", %r9\n"
	"	mov " SAVED(9) ", %r10\n"
	"	mov " SAVED(10) ", %r11\n"
	"	mov " SAVED(1) ", %rax\n"
	"	add $0x7f, %al\n"
	"	sahf\n"
	"	mov " SAVED(0) ", %rax\n"
	"	jmp *" IP "\n"

	"uemu_stub_store_bytes:\n"
	"	lea " BUFFER ", %rsi\n"
	"	mov " ADDR ", %rdi\n"
	"	mov " LENGTH ", %rcx\n"
	"	cld\n"
	"	rep movsb\n"
	"	int3\n"
	"uemu_stub_load_bytes:\n"
	"	mov " ADDR ", %rsi\n"
	"	lea " BUFFER ", %rdi\n"
	"	mov " LENGTH ", %rcx\n"
	"	cld\n"
	"	rep movsb\n"
	"	int3\n"
	ACCESS("store1", "load1", "al")
	ACCESS("store2", "load2", "ax")
	ACCESS("store4", "load4", "eax")
	ACCESS("store8", "load8", "rax")
	"uemu_stub_end:\n"
	".popsection\n");

#define AT(name) ((uint32_t)(uemu_stub_##name - uemu_stub))

void uemu_stub_entries(struct uemu_entries *entries)
{
	*entries = (struct uemu_entries){
		.size = AT(end),
		.resume = AT(resume),
		.calls = AT(calls),
		.syscall = AT(syscall),
		.store_bytes = AT(store_bytes),
		.load_bytes = AT(load_bytes),
		.store1 = AT(store1),
		.store2 = AT(store2),
		.store4 = AT(store4),
		.store8 = AT(store8),
		.load1 = AT(load1),
		.load2 = AT(load2),
		.load4 = AT(load4),
		.load8 = AT(load8),
	};
}

void uemu_stub_copy(void *code_page)
{
	memcpy(code_page, uemu_stub, AT(end));
}

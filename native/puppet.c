/*
 * The puppet: a process that does nothing, so that a tracer can do everything
 * with it.
 *
 * uemu's library and tests need real processes and threads whose every store,
 * load, fork and system call is chosen by the test. This program is the empty
 * shell for them. The tracer starts it, finds it stopped at its first
 * instruction, makes it map the control area (uemu_native.h), and from then on
 * has its threads run the code of that area, one access or call at a time.
 *
 * So all it has to offer is:
 *
 *   an address space with as little in it as possible (a page of text, a stack,
 *       the vDSO): no C library, hence no TLS, no heap, no rseq area, no signal
 *       handler, no locks, nothing that stores behind a test's back;
 *   a text that can only stop. Should a thread be let go by mistake, it traps,
 *       and if it is let go again it comes back to the same trap.
 *
 * Without a tracer the first int3 is a SIGTRAP that nobody handles: a puppet
 * does not outlive the one who holds its strings.
 *
 * Built with -nostdlib -static. Its stack is not executable: the compiler emits
 * .note.GNU-stack for this file, and the linker is told -z noexecstack.
 */

#ifndef __x86_64__
#error "the puppet is for x86-64"
#endif

void _start(void);

/*
 * Naked: there is no frame to set up and no caller to return to.
 *
 * The trap reports rip one past the int3, at the jump; continued from there it
 * executes the jump and traps again.
 */
__attribute__((naked, noreturn, used)) void _start(void)
{
	__asm__ volatile("0:	int3\n"
			 "	jmp 0b\n");
}

"""Real processes that take a schedule's steps: each CPU's TLB is a process's mappings.

On a real machine a thread's stale translation lives in the TLB of the CPU it
runs on, where nobody can hold it for as long as a schedule wants. So a thread
of the scenario, on its CPU, is a process of its own here, and what that
process has really mapped *is* the TLB: a page that it never touched is not
mapped, and the access traps; the trap walks the page table and maps the
frame; a flush unmaps it. Between a change of the page table and the flush the
old mapping is still there, and a store goes where it leads.

Real are the processes, what they have mapped, their stores, loads, forks and
ends, and the frames: a memfd, which the device writes too. The kernel's own
words (page tables, counts, locks, their store buffers) stay emulated, and its
steps are those of the simulated world, by the same text.

tlb        entries of such a TLB: mapped, unmapped, and what they really are
processes  one for each address space, one for each CPU; real forks and exits
mmu        page tables applied to them: flushes, and ends
cpus       stores and loads by real instructions, and what a process sees
hardware   all of it, on a tracer thread of its own, as a stepped world wants it
"""

"""Real processes and threads, traced with ptrace, under the kernel's rules.

tracer   the one thread that traces, and how others ask it
area     the memory a traced process shares with the tracer, a slot a thread
mmu      page tables applied to real processes
runner   operations that run until they end or wait
puppet   real processes whose every access is ordered by the tracer

No public API: that is `uemu.machine`.
"""

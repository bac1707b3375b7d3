"""Real processes and threads, traced with ptrace, under the kernel's rules.

tracer   the one thread that traces, and how others ask it
area     the memory a traced process shares with the tracer, a slot a thread
mmu      page tables applied to real processes
runner   operations that run until they end or wait
puppet   real processes and threads, as records
reports  what waiting tells: who stopped, was born, died
hands    system calls in a stopped puppet
access   stores and loads, through as many faults as it takes
newborn  real processes at their birth
births   spawn, clone, fork, vfork, posix_spawn (exec_block: what execve needs)
endings  exit, kill
stage    all of them, for one machine

No public API: that is `uemu.machine`.
"""

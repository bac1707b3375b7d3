"""Unmodified programs under ptrace: `uemu run`.

session  everything joined, and the loop; what a run gives is a `result`
which    the program that a name stands for
tasks    tasks, processes, address spaces, as records
tracees  waiting for tasks, stopping them, calls made in them
loader   what a program gets before its first instruction
window   how a frame is placed in a program
filters  which system calls stop (outputs: those that write user memory)
births   clone in its forms, exec (tids: what the kernel writes then; endings: exit)
framing  which pages are frames (adoption: how they become it; runs: pages in a row)
faults   SIGSEGV, and other signals (segv_action: what the program does about that one)
calls    what is done about system calls (mappings: those that change them)
direct   direct I/O as transfers, each a `request` (aio: libaio; user: its memory)
pipes    vmsplice, and the pipes it feeds
remote   the memory of another: process_vm_readv, process_vm_writev
uring    io_uring: rings, chains of requests, what is registered
schedule how long a transfer is in flight
"""

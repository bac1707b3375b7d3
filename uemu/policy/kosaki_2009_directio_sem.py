"""directio_sem: fork waits for direct I/O (KOSAKI, 2009-03-16).

A semaphore in each mm, beside mmap_sem. Direct I/O holds it for reading while
direct_io_worker() runs, fork holds it for writing. A call that waits for its
I/O runs until the transfer is over, so no page of that mm is under it while
fork runs. One that does not, AIO, has returned by then: the worker gives the
semaphore back as soon as the requests are queued.

Holds:   a read(2) or write(2) with O_DIRECT, submitted before fork, belongs to
         the process that made it: nobody shares its pages before it is over.
         gup-fast and fork exclude each other, for O_DIRECT.
Breaks:  AIO over fork, as in 2.6.29: a device write is lost (lost-dma-write) or
         seen by the child (dma-write-seen-by-other); A. Arcangeli, 2009-03-16
         18:37. Whoever else holds pages, vmsplice and drivers, takes no lock
         (secret-leak, lost-dma-write; the drawing); N. Piggin, 16:23. What is
         submitted after fork: a read gup takes the shared page and the device
         receives the child's bytes (foreign-dma-read); Piggin, 16:50.
Costs:   fork waits for the slowest transfer in flight, also for one to a buffer
         that MADV_DONTFORK keeps from it, and all direct I/O of the process
         that comes later waits for that fork (fork-blocked); a cache line per
         mm that every direct I/O writes.
Relies:  down_read() comes before the lookup, and before mmap_sem, which gup
         takes; fork takes the two in the same order.
Source:  KOSAKI M., 2009-03-16 16:01, document 003, the whole patch:
         fs/direct-io.c:__blockdev_direct_IO, kernel/fork.c:dup_mmap, mm_init.
Not modelled: a file's size: an AIO write that extends it waits for its end, and
         then so does fork; file systems whose direct I/O does not go through
         __blockdev_direct_IO (NFS), which take no lock.

Race: exit-in-flight uemu1:0000000001111 -> dma-write-seen-by-other

    #   io              child     note                             state
    --  --------------  --------  -------------------------------  ------
    0   get_user_pages            mmap_sem for reading             0: 1/1
    1   follow_page               hold the page                    0: 2/1
    2   dup_mmap                  queue: directio_sem for writing  0: 2/1
    3   dup_mmap                  directio_sem for writing         0: 2/1
    4   dup_mmap                  mmap_sem for writing             0: 2/1
    5   copy_one_pte              share read-only                  0: 3/2
    6   exit_mmap                 nobody runs in it any more       0: 3/2
    7   zap_pte_range             clear the entry                  -: 2/1
    8   signal                    parent is gone                   -: 2/1
    9                   wait_for  parent is gone                   -: 2/1
    10                  dma       b'D' -> pfn 0                    -: 2/1
    11                  load      child reads                      -: 2/1
    12                  release   release pfn 0                    -: 1/1

State: the frame the parent maps, then count/mapcount of pfn 0, 1, ...
"""

from __future__ import annotations

from uemu.mm.lock_hooks import IoRequest
from uemu.mm.mm_struct import MmStruct
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.step import Cpu, Op


class Kosaki2009DirectioSem(Linux2_6_29):
    """2.6.29 with mm->directio_sem."""

    name = "kosaki-2009-directio-sem"
    summary = "fork takes for writing what direct I/O holds for reading until its call returns"
    makes_wait = True
    not_for_programs = "fork waits for direct I/O, and a program that runs cannot be made to"

    # fs/direct-io.c:__blockdev_direct_IO -------------------------------------------------

    def io_begin(self, cpu: Cpu, request: IoRequest) -> Op[None]:
        """down_read(), and then direct_io_worker() looks pages up."""
        if request.api == "o_direct":
            sem = request.mm.sem("directio_sem")
            yield sem.read_step("__blockdev_direct_IO", "directio_sem for reading")
            sem.down_read(cpu)

    def io_return(self, cpu: Cpu, request: IoRequest) -> None:
        """direct_io_worker() of AIO returns, whatever its requests do: up_read()."""
        if request.api == "o_direct":
            request.mm.sem("directio_sem").up_read(cpu)

    def io_end(self, cpu: Cpu, request: IoRequest) -> None:
        """direct_io_worker() awaited the end, and returns: up_read()."""
        if request.api == "o_direct" and not request.aio:
            request.mm.sem("directio_sem").up_read(cpu)

    # kernel/fork.c:dup_mmap ---------------------------------------------------------------

    def fork_begin(self, cpu: Cpu, mm: MmStruct) -> Op[None]:
        """down_write(), before that of mmap_sem; the child's own is free (mm_init)."""
        yield from mm.sem("directio_sem").write(cpu, "dup_mmap", "directio_sem for writing")

    def fork_end(self, cpu: Cpu, mm: MmStruct) -> None:
        """up_write(), after that of mmap_sem."""
        mm.sem("directio_sem").up_write(cpu)

"""Locks that make fork and I/O wait for each other (C08, C09, C14, C15, C42)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, Claim, reading
from uemu.claims.question import never, shows
from uemu.claims.source import arcangeli, herrenschmidt, kamezawa, piggin

LOST, SEEN, FOREIGN = "lost-dma-write", "dma-write-seen-by-other", "foreign-dma-read"
MISSED = "lost-dma-write dma-write-seen-by-other"
LEAK, DEADLOCK = "secret-leak", "deadlock"

MMAP_SEM = "torvalds-2009-mmap-sem"
DIRECT_IO_CALL = f"{MMAP_SEM}:direct-io-call"
DIRECTIO_SEM = "kosaki-2009-directio-sem"

CLAIMS = (
    Claim(
        "C08",
        "holding mmap_sem over the lookup does not help I/O still in flight",
        (arcangeli("11 20:55", "20090311205529.GR27823@random.random"),),
        (
            reading(
                "it is given back when the pages are known, and the device is at work",
                shows(LOST, "lost-read-no-child-write", "linux-2.6.7"),
                shows(LOST, "forkscrew", DIRECT_IO_CALL),
                never(MISSED, "lost-read-no-child-write", MMAP_SEM),
                never(MISSED, "forkscrew", MMAP_SEM),
            ),
        ),
        CONFIRMED,
        "2.6.7 has no gup-fast, so gup and fork exclude each other, and the read is lost all the"
        " same; what is held until the I/O is over is another thing",
    ),
    Claim(
        "C09",
        "holding a lock until the I/O ends cannot work for references held for ever",
        (herrenschmidt("14 05:07", "1237007241.25062.92.camel@pasglop"),),
        (
            reading(
                "memory is registered as long as the program runs, and the program forks",
                shows(DEADLOCK, "exit-in-flight", MMAP_SEM),
            ),
            reading(
                "somebody else ends the reference while fork waits",
                shows(DEADLOCK, "vmsplice-then-fork", MMAP_SEM),
            ),
        ),
        CONFIRMED,
        "fork waits for what ends when the process does",
    ),
    Claim(
        "C14",
        "kosaki v1 does not cover other gup users, nor a read gup on an already shared PTE",
        (piggin("16 16:50", "200903170350.13665.nickpiggin@yahoo.com.au"),),
        (
            reading(
                "a pipe, registered memory, a write to a disk after fork",
                shows(LEAK, "vmsplice-then-fork", DIRECTIO_SEM),
                shows(SEEN, "exit-in-flight", DIRECTIO_SEM),
                shows(FOREIGN, "reverse-race", DIRECTIO_SEM),
            ),
            reading(
                "a read(2) from a disk, over fork",
                shows(MISSED, "lost-read-no-child-write", DIRECTIO_SEM),
            ),
        ),
        CONFIRMED,
        "only direct I/O takes the semaphore, and nobody has to wait for a fork that is over; of a"
        " read in flight he says himself that it is safe",
    ),
    Claim(
        "C15",
        "kosaki v1 releases too early for AIO",
        (
            arcangeli("16 18:37", "20090316183750.GB20555@random.random"),
            kamezawa("17 00:56", "20090317095611.77fdff59.kamezawa.hiroyu@jp.fujitsu.com"),
        ),
        (
            reading(
                "direct_io_worker() returns when the requests are queued",
                shows(LOST, "forkscrew", DIRECTIO_SEM),
                never(MISSED, "lost-read-no-child-write", DIRECTIO_SEM),
            ),
        ),
        CONFIRMED,
        "for AIO the worker returns -EIOCBQUEUED, up_read() comes next, and the device is at work",
    ),
    Claim(
        "C42",
        "a semaphore over ->direct_IO() only is not enough",
        (arcangeli("11 21:57", "20090311215721.GS27823@random.random"),),
        (
            reading(
                "for AIO, whose call returns before the I/O is done",
                shows(LOST, "forkscrew", DIRECT_IO_CALL),
            ),
            reading(
                "for a read(2), whose call waits",
                shows(MISSED, "lost-read-no-child-write", DIRECT_IO_CALL),
                shows(MISSED, "two-readers-one-page", DIRECT_IO_CALL),
            ),
        ),
        CONFIRMED,
        "Torvalds took O_DIRECT for an interface that returns when it is done, which read(2) does",
    ),
)

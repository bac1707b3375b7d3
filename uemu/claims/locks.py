"""Locks that make fork and I/O wait for each other (C08, C09, C14, C15, C22, C42, C43)."""

from __future__ import annotations

from uemu.claims.claim import CONFIRMED, UNDECIDABLE, Claim, reading
from uemu.claims.question import never, shows
from uemu.claims.source import arcangeli, herrenschmidt, kamezawa, piggin, torvalds

LOST, SEEN, FOREIGN = "lost-dma-write", "dma-write-seen-by-other", "foreign-dma-read"
MISSED = "lost-dma-write dma-write-seen-by-other"
LEAK, DEADLOCK = "secret-leak", "deadlock"

MMAP_SEM = "torvalds-2009-mmap-sem"
DIRECT_IO_CALL = f"{MMAP_SEM}:direct-io-call"
FORK_LOCK = "torvalds-2009-fork-lock"
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
                shows(DEADLOCK, "exit-in-flight", FORK_LOCK),
            ),
            reading(
                "somebody else ends the reference while fork waits",
                shows(DEADLOCK, "vmsplice-then-fork", MMAP_SEM),
                shows(DEADLOCK, "vmsplice-then-fork", FORK_LOCK),
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
        "C22",
        "vmsplice references outlive the call: a lock cannot cover them",
        (
            piggin("16 16:23", "200903170323.45917.nickpiggin@yahoo.com.au"),
            piggin("16 17:19", "200903170419.38988.nickpiggin@yahoo.com.au"),
        ),
        (
            reading(
                "without a lock fork shares them; with one it may wait for its own child",
                shows(LEAK, "vmsplice-then-fork", "linux-2.6.29"),
                shows(DEADLOCK, "vmsplice-self-drain", FORK_LOCK),
            ),
            reading(
                "a lock does not help where somebody else reads the pipe meanwhile, either",
                shows(f"{LEAK} {DEADLOCK}", "vmsplice-then-fork", FORK_LOCK),
            ),
        ),
        CONFIRMED,
        "the pages are retired by the other end of the pipe: whoever waits for that waits for"
        " somebody, and that may be the process which is about to be forked",
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
    Claim(
        "C43",
        "vmsplice can hold the lock for its whole I/O",
        (torvalds("16 17:02", "alpine.LFD.2.00.0903160955490.3675@localhost.localdomain"),),
        (
            reading(
                "somebody else reads the pipe while fork waits",
                never(f"{LEAK} {DEADLOCK}", "vmsplice-then-fork", FORK_LOCK),
            ),
            reading(
                "the child is to read it",
                never(DEADLOCK, "vmsplice-self-drain", FORK_LOCK),
            ),
        ),
        UNDECIDABLE,
        "that fork waits is what he takes vmsplice to want; for whom it waits the words do not"
        " say, and for the child it waits until it is killed",
        open=True,
    ),
)

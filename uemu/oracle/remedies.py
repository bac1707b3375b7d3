"""Who can suffer a violation, and what can be done about it."""

from __future__ import annotations

from typing import Final, NamedTuple


class Remedy(NamedTuple):
    """What somebody can do.

    Attributes:
        name: what it is called.
        text: what to do, and what it does not do.
        source: who says so: a manual page, a mail of document 003, a commit.
        scenario: shows that it works: no kernel shows the violation there. Or nothing.
    """

    name: str
    text: str
    source: str
    scenario: str = ""


class Advice(NamedTuple):
    """What there is to say of a kind of violation.

    Attributes:
        who: who can suffer it.
        remedies: for programs first, for kernels last.
    """

    who: str
    remedies: tuple[Remedy, ...]


DONTFORK: Final = Remedy(
    "MADV_DONTFORK",
    "madvise(2) the pages of the buffer before the I/O begins: fork leaves them alone, and a child"
    " has no memory there, whatever else lies in the same pages. MADV_DOFORK takes it back.",
    "madvise(2), since 2.6.16; open(2), on O_DIRECT; N. Piggin, 2009-03-12 05:36",
    "dontfork",
)
WIPEONFORK: Final = Remedy(
    "MADV_WIPEONFORK",
    "the same, and a child finds zeros there that it may use.",
    "madvise(2), since Linux kernel commit d2cd9ede6e19 (in v4.14)",
    "wipeonfork",
)
WHOLE_PAGES: Final = Remedy(
    "whole pages",
    "align buffers to pages, pad them to whole pages, and let no thread and no child store to them"
    " while a device is at work: then nothing breaks COW there. That a child sees what the device"
    " writes it does not prevent.",
    "A. Arcangeli, 2009-03-11 18:37",
    "lost-read-aligned",
)
SPAWN: Final = Remedy(
    "posix_spawn",
    "who only wants to run another program takes posix_spawn(3), or vfork(2) and execve(2): no page"
    " table is copied, and no page is shared.",
    "L. Torvalds, 2009-03-11 22:06",
    "posix-spawn",
)
SHARED: Final = Remedy(
    "MAP_SHARED",
    "let the buffer be shared memory: fork never write-protects it, and a child that has it sees"
    " it as it is.",
    "open(2), on O_DIRECT; A. Arcangeli, 2009-03-11 18:37",
    "map-shared",
)
PIN: Final = Remedy(
    "FOLL_PIN",
    "for drivers: take pages whose bytes are accessed with pin_user_pages(), not with"
    " get_user_pages(). Since v5.9 fork copies what is pinned; since v5.19 a pin stays with the"
    " page that its owner sees; O_DIRECT pins since v6.5.",
    "Documentation/core-api/pin_user_pages.rst; Linux kernel commits 70e806e4e645, 6c287605fd56,"
    " a7e689dd1c06, 1ccf164ec866",
)
WRITE_FIRST: Final = Remedy(
    "write first",
    "store to every page before it is registered, or register it for writing, as VFIO did with"
    " FOLL_WRITE and FOLL_FORCE: the reference is then to a page of the process's own. A fork that"
    " comes later needs another remedy.",
    "Linux kernel commit 84209e87c696 (in v6.2)",
)
NOT_REUSED: Final = Remedy(
    "a newer kernel",
    "since v5.8 get_user_pages breaks COW before it takes a page, since v5.9 a write fault does not"
    " reuse a page that anybody else refers to.",
    "Linux kernel commits 17839856fd58, 09854ba94c6a",
)
STORE_LATER: Final = Remedy(
    "no stores during fork",
    "let no thread store to a page that a device holds while another one forks; what the child"
    " finds in such a page must be copied under the locks of the data that is in it.",
    "A. Arcangeli, 2009-03-16 13:56",
)
FLUSH_FIRST: Final = Remedy(
    "flush first",
    "for kernels: write-protect the parent's entry, and flush its TLBs, before the copy; clear and"
    " flush an entry before another frame takes its place.",
    "A. Arcangeli, 2009-03-12 17:00; Linux mm/memory.c:wp_page_copy",
)
WRITABLE: Final = Remedy(
    "PROT_WRITE",
    "let the buffer be writable while it is written out. For kernels: ask whether COW is broken,"
    " not whether the entry is writable.",
    "KOSAKI M., 2009-03-22 12:23",
)
ENDED_FIRST: Final = Remedy(
    "end it first",
    "fork when no I/O is in flight, and leave no reference to one that only the child would end: a"
    " pipe that it would read, a registration for ever.",
    "N. Piggin, 2009-03-16 17:19; B. Herrenschmidt, 2009-03-14 05:07",
)
DIRTY: Final = Remedy(
    "set_page_dirty_lock",
    "for drivers: mark a page dirty when the device is done with it, before the reference is given"
    " back, as unpin_user_pages_dirty_lock() does.",
    "Documentation/core-api/pin_user_pages.rst; A. Arcangeli, 2009-03-17 17:10",
)
MEND: Final = Remedy(
    "mend the kernel",
    "no program can do anything about it, or need do so: it is a mistake in a patch, and the steps"
    " of `uemu replay` name the function.",
    "the source of the policy that shows it",
)

FORKED: Final = (DONTFORK, WIPEONFORK, SPAWN, SHARED, PIN)

ADVICE: Final[dict[str, Advice]] = {
    "lost-dma-write": Advice(
        "A process that gives private memory to a device, to read into by O_DIRECT, io_uring,"
        " RDMA or a driver, and forks before the device is done, in any thread, in a library,"
        " through system(3). If something else lies in the same pages it takes no store to the"
        " buffer itself.",
        (DONTFORK, WIPEONFORK, WHOLE_PAGES, *FORKED[2:]),
    ),
    "dma-write-seen-by-other": Advice(
        "A child that was forked while a device was to write its parent's memory, and whoever"
        " relies on private memory to be private.",
        FORKED,
    ),
    "foreign-dma-read": Advice(
        "A process that lets a device read its private memory, to write it to a disk or a network,"
        " while another process that it shares pages with by fork goes on: data of one ends up"
        " in the file of the other.",
        (DONTFORK, SPAWN, SHARED, PIN, NOT_REUSED),
    ),
    "stale-dma-read": Advice(
        "A process that registers memory for a device to read for long, a guest's memory with"
        " VFIO for example, and stores to it later.",
        (WRITE_FIRST, DONTFORK, PIN),
    ),
    "secret-leak": Advice(
        "A parent whose children are not to be trusted (CVE-2020-29374), and whoever reads a pipe"
        " that another process filled by vmsplice(2).",
        (DONTFORK, WIPEONFORK, SPAWN, NOT_REUSED),
    ),
    "torn-fork-copy": Advice(
        "A child that uses a page of its parent which a device held at fork, while another thread"
        " of the parent was storing to it.",
        (STORE_LATER, DONTFORK, SPAWN, FLUSH_FIRST),
    ),
    "lost-store": Advice(
        "A process with several threads, of which two use different frames for one address.",
        (FLUSH_FIRST,),
    ),
    "fork-blocked": Advice(
        "A process that forks, or takes a page fault, while I/O is in flight, under a kernel where"
        " they wait for each other.",
        (ENDED_FIRST, SPAWN),
    ),
    "deadlock": Advice(
        "A process that forks while a reference is held that only something after the fork would"
        " give back.",
        (ENDED_FIRST, SPAWN),
    ),
    "livelock": Advice(
        "A process that writes memory to a device which it may only read itself.",
        (WRITABLE,),
    ),
    "dirty-lost": Advice(
        "A process whose memory reclaim has written out already when a device, which took it by"
        " gup-fast, writes it; and who gives the page back does not say that it is dirty.",
        (DIRTY,),
    ),
    "pinned-page-freed": Advice("Everybody: the frame may be anybody's by now.", (MEND,)),
    "refcount-leak": Advice(
        "Everybody: the page is never freed, or freed while it is used.", (MEND,)
    ),
    "not-exclusive": Advice(
        "Whoever pinned the page: what is written through one mapping shows in another.", (MEND,)
    ),
}
"""What there is to say of each kind of `uemu.oracle.violations.KINDS`."""

"""What each scenario shows under each kernel in its canonical order, and why.

Written from the sources of the kernels and the mails, not from runs: where a
run disagrees, one of the two is wrong, and which has to be found out.
"""

from __future__ import annotations

from typing import NamedTuple


class Expected(NamedTuple):
    """The verdict of one cell of the matrix, and one sentence for it."""

    kinds: frozenset[str]
    reason: str


def _clean(reason: str) -> Expected:
    return Expected(frozenset(), reason)


def _violates(kinds: str, reason: str) -> Expected:
    return Expected(frozenset(kinds.split()), reason)


LOST = "lost-dma-write"
SEEN = "dma-write-seen-by-other"
FOREIGN = "foreign-dma-read"

_V2_COPIES = "fork finds PG_gup and more references than PTEs: it copies for the child (v2, 03-16)"
_V1_COPIES = "fork finds PG_gup and more references than PTEs: it copies for the child (v1, 03-11)"
_PIGGIN_COPIES = "gup marked the page PG_dontcow, so fork copies for the child; the parent reuses"
_6_5_COPIES = "O_DIRECT pins since a7e689dd1c06, so fork copies for the child (70e806e4e645)"
_DONTFORK = "fork skips a VM_DONTCOPY area, so the parent's entry stays writable"
_REDHAT_COPIES = (
    "fork finds page_count above mapcount, under mmap_sem, and copies for the child (19:15)"
)
_REFUSED = "512 bytes are EINVAL, so no device is there; read() stores the bytes (03-11 18:37)"

EXPECTED: dict[str, dict[str, Expected]] = {
    "lost-read": {
        "linux-2.6.29": _violates(
            f"{LOST} {SEEN}",
            "mapcount is 2, so the parent's store copies; the child's store then finds mapcount 1"
            " and takes over the frame the device writes (ground truth b3 on 4.19)",
        ),
        "redhat-2.6.18": _clean(_REDHAT_COPIES),
        "arcangeli-2009-v1": _clean(_V1_COPIES),
        "arcangeli-2009-page-multiple": _clean(_REFUSED),
        "arcangeli-2009-v2": _clean(_V2_COPIES),
        "piggin-2009-page": _clean(_PIGGIN_COPIES),
        "linux-4.19": _violates(
            f"{LOST} {SEEN}",
            "the rule of 2.6.29: the parent's store copies at mapcount 2, the child's takes over"
            " the device's frame at mapcount 1 (ground truth b3 on 4.19)",
        ),
        "linux-5.8": _violates(
            f"{LOST} {SEEN}",
            "the reference came before fork, so nothing forced is left to do: mapcount 2 copies for"
            " the parent, mapcount 1 gives the frame to the child",
        ),
        "linux-5.9": _violates(
            LOST,
            "O_DIRECT only gets, so fork shares; page_count is 3 and then 2, so both stores copy"
            " and nobody maps the frame any more (09854ba94c6a; ground truth b3 on 5.10)",
        ),
        "linux-5.11": _violates(
            LOST,
            "O_DIRECT gets, which neither fork nor write_protect_seq asks after; page_count is 3"
            " and then 2, so both stores copy (ground truth b3 on 5.10)",
        ),
        "linux-5.19": _violates(
            LOST,
            "O_DIRECT only gets, so fork clears PG_anon_exclusive and shares; both stores find"
            " page_count above 1 and copy (ground truth b3 on 6.1)",
        ),
        "linux-6.5": _clean(_6_5_COPIES),
    },
    "lost-read-no-child-write": {
        "linux-2.6.29": _violates(
            f"{LOST} {SEEN}",
            "the child's PTE counts although it touches nothing: mapcount is 2, the parent's store"
            " copies (Arcangeli 03-11 18:37; ground truth a1 on 4.19)",
        ),
        "redhat-2.6.18": _clean(_REDHAT_COPIES),
        "arcangeli-2009-v1": _clean(_V1_COPIES),
        "arcangeli-2009-page-multiple": _clean(_REFUSED),
        "arcangeli-2009-v2": _clean(_V2_COPIES),
        "piggin-2009-page": _clean(_PIGGIN_COPIES),
        "linux-4.19": _violates(
            f"{LOST} {SEEN}",
            "mapcount is 2, so the parent's store copies and the child keeps the frame the device"
            " writes (ground truth a1 on 4.19)",
        ),
        "linux-5.8": _violates(
            f"{LOST} {SEEN}",
            "fork shares, as before 70e806e4e645, and mapcount 2 makes the parent's store copy; the"
            " child keeps the frame",
        ),
        "linux-5.9": _violates(
            f"{LOST} {SEEN}",
            "page_count is 3, so the parent's store copies and the child keeps mapping the frame"
            " the device writes (ground truth a1 on 5.10)",
        ),
        "linux-5.11": _violates(
            f"{LOST} {SEEN}",
            "page_count is 3, so the parent's store copies; the child keeps the frame (ground truth"
            " a1 on 5.10)",
        ),
        "linux-5.19": _violates(
            f"{LOST} {SEEN}",
            "a page with a get is shared and not exclusive, so the parent's store copies and the"
            " child keeps the frame (ground truth a1 on 6.1)",
        ),
        "linux-6.5": _clean(_6_5_COPIES),
    },
    "child-corrupted": {
        "linux-2.6.29": _violates(
            SEEN,
            "fork shares whatever a device does, and nobody stores: parent and child both see the"
            " device's bytes (Arcangeli 03-11 18:37; ground truth a0 on 4.19)",
        ),
        "redhat-2.6.18": _clean(_REDHAT_COPIES),
        "arcangeli-2009-v1": _clean(_V1_COPIES),
        "arcangeli-2009-page-multiple": _clean(_REFUSED),
        "arcangeli-2009-v2": _clean(_V2_COPIES),
        "piggin-2009-page": _clean(_PIGGIN_COPIES),
        "linux-4.19": _violates(
            SEEN, "copy_one_pte shares whatever a device does (ground truth a0 on 4.19)"
        ),
        "linux-5.8": _violates(SEEN, "fork looks at no reference before v5.9, and nobody stores"),
        "linux-5.9": _violates(
            SEEN, "fork copies for pins only and O_DIRECT gets (ground truth a0 on 5.10)"
        ),
        "linux-5.11": _violates(
            SEEN,
            "fork copies for pins only and O_DIRECT gets (ground truth a0 on 5.10)",
        ),
        "linux-5.19": _violates(
            SEEN, "fork copies for pins only and O_DIRECT gets (ground truth a0 on 6.1)"
        ),
        "linux-6.5": _clean(_6_5_COPIES),
    },
    "two-readers-one-page": {
        "linux-2.6.29": _violates(
            f"{LOST} {SEEN}",
            "the second reader's gup takes a write fault, mapcount is 2, the parent moves to a copy"
            " and the child keeps the first reader's frame (dma_thread.c)",
        ),
        "redhat-2.6.18": _clean(
            "fork copied for the child and gave the parent's entry its write bit back, so the"
            " second reader finds the same frame"
        ),
        "arcangeli-2009-v1": _clean(
            "the first reader's page was marked and held when fork came: copied for the child, and"
            " made writable again before the second reader looks"
        ),
        "arcangeli-2009-page-multiple": _clean(_REFUSED),
        "arcangeli-2009-v2": _clean(
            "fork copied for the child and left the parent's entry writable, so the second reader"
            " finds the same frame"
        ),
        "piggin-2009-page": _clean(
            "the child has its copy, so the second reader's write fault finds mapcount 1 and reuses"
            " the frame that the first one holds"
        ),
        "linux-4.19": _violates(
            f"{LOST} {SEEN}",
            "the second reader's gup takes a write fault, mapcount is 2, and the parent moves to a"
            " copy (dma_thread aborts on real 4.19)",
        ),
        "linux-5.8": _violates(
            f"{LOST} {SEEN}",
            "the second reader's gup was a write gup anyway: its fault finds mapcount 2 and copies"
            " (dma_thread aborts on real 5.8)",
        ),
        "linux-5.9": _violates(
            f"{LOST} {SEEN}",
            "the second reader's write fault finds page_count 3 and copies; the child still maps"
            " the first reader's frame (dma_thread aborts on real 5.9)",
        ),
        "linux-5.11": _violates(
            f"{LOST} {SEEN}",
            "the second reader's write fault finds page_count 3 and copies (dma_thread aborts on"
            " real 5.10)",
        ),
        "linux-5.19": _violates(
            f"{LOST} {SEEN}",
            "the page was shared for a get is all there was, so the second reader's write fault"
            " copies (dma_thread aborts on real 5.19)",
        ),
        "linux-6.5": _clean(_6_5_COPIES),
    },
    "reverse-race": {
        "linux-2.6.29": _violates(
            FOREIGN,
            "a read gup takes the shared frame, the parent's store leaves it, and the child's"
            " finds mapcount 1 and reuses it (Piggin 03-14 04:59; ground truth d1 on 4.19)",
        ),
        "redhat-2.6.18": _violates(
            FOREIGN,
            "nobody held the page when fork shared it; a read gup takes the shared frame, and"
            " do_wp_page still asks the mapcount, as in 2.6.29",
        ),
        "arcangeli-2009-v1": _violates(
            FOREIGN,
            "fork came first and shared; a read gup of v1 takes the read-only page and only marks"
            " it, so it is 2.6.29's reverse race (Piggin 03-14 04:59)",
        ),
        "arcangeli-2009-page-multiple": _violates(
            FOREIGN,
            "a whole page is taken as ever: the read gup takes the shared frame, the parent's"
            " store leaves it and the child's reuses it, as in 2.6.29",
        ),
        "arcangeli-2009-v2": _clean(
            "gup breaks COW on a read-only anonymous page even to read (v2, follow_page), so the"
            " parent holds a frame of its own"
        ),
        "piggin-2009-page": _clean(
            "gup breaks COW for a read too, so the parent holds a frame of its own (03-14 04:59)"
        ),
        "linux-4.19": _violates(
            FOREIGN,
            "gup_pte_range takes a read-only entry to read; the parent's store leaves the frame,"
            " the child's reuses it (ground truth d1 on 4.19)",
        ),
        "linux-5.8": _clean(
            "gup after fork: the read gup takes a write fault first, so the parent holds a copy of"
            " its own (17839856fd58)"
        ),
        "linux-5.9": _clean(
            "do_wp_page copies while page_count is above 1, so both stores leave the frame and the"
            " device reads old bytes (ground truth d1 on 5.10)"
        ),
        "linux-5.11": _clean(
            "page_count is above 1 at both stores, so both leave the frame (ground truth d1 on"
            " 5.10)"
        ),
        "linux-5.19": _clean(
            "a get does not unshare, but the page is not exclusive and page_count is above 1, so"
            " both stores copy (ground truth d1 on 6.1)"
        ),
        "linux-6.5": _clean(
            "a read-only pin of a page that is not exclusive unshares it first (a7f226604170), so"
            " the device reads the parent's bytes (ground truth d1 on 6.18)"
        ),
    },
    "ro-pin-then-fork": {
        "linux-2.6.29": _violates(
            FOREIGN,
            "fork shares the held page, the parent's store copies, the child's reuses the frame"
            " that the device reads (ground truth c2 on 4.19)",
        ),
        "redhat-2.6.18": _clean(_REDHAT_COPIES),
        "arcangeli-2009-v1": _clean(
            "PG_gup is set for reads too (19:59, no look at the direction), so fork copies for the"
            " child"
        ),
        "arcangeli-2009-page-multiple": _violates(
            FOREIGN,
            "a whole page is taken as ever, and fork shares it: the parent's store copies, the"
            " child's reuses the frame that the device reads, as in 2.6.29",
        ),
        "arcangeli-2009-v2": _clean(
            "PG_gup is set for reads too, so fork copies for the child and the parent keeps its"
            " frame (v2, 03-16 13:56)"
        ),
        "piggin-2009-page": _clean(
            "the mark is set for reads too, so fork copies for the child and the parent reuses"
        ),
        "linux-4.19": _violates(
            FOREIGN,
            "fork shares the held page, the parent leaves it, the child finds mapcount 1 and reuses"
            " it (ground truth c2 on 4.19)",
        ),
        "linux-5.8": _violates(
            FOREIGN,
            "gup before fork finds a writable entry and breaks nothing; then fork shares, the"
            " parent copies, the child reuses the frame the device reads",
        ),
        "linux-5.9": _clean(
            "fork shares, but page_count keeps the child from reusing the frame (ground truth c2"
            " on 5.10)"
        ),
        "linux-5.11": _clean(
            "fork shares, but page_count keeps the child from reusing the frame (ground truth c2 on"
            " 5.10)"
        ),
        "linux-5.19": _clean(
            "fork clears PG_anon_exclusive and shares, but page_count keeps the child from taking"
            " the frame over (ground truth c2 on 6.1)"
        ),
        "linux-6.5": _clean(_6_5_COPIES),
    },
    "gup-fast-vs-fork": {
        "linux-2.6.29": _violates(
            f"{LOST} {SEEN}",
            "told in order it is the lost read: the forking thread's own store finds mapcount 2",
        ),
        "redhat-2.6.18": _clean(
            "there is no gup-fast: gup and fork exclude each other by mmap_sem, and told in order"
            " fork finds the reference and copies"
        ),
        "arcangeli-2009-v1": _clean(
            "told in order PG_gup is set before fork looks, and in the others gup-fast looks again"
        ),
        "arcangeli-2009-page-multiple": _clean(_REFUSED),
        "arcangeli-2009-v2": _clean(
            "told in order PG_gup is set before fork looks; the race needs other orders"
        ),
        "piggin-2009-page": _clean(
            "the page is not marked, so gup takes mmap_sem, and fork sees all of it or nothing"
        ),
        "linux-4.19": _violates(
            f"{LOST} {SEEN}",
            "told in order it is the lost read: the forking thread's store finds mapcount 2",
        ),
        "linux-5.8": _violates(
            f"{LOST} {SEEN}",
            "told in order it is the lost read: mapcount is 2",
        ),
        "linux-5.9": _violates(
            f"{LOST} {SEEN}", "told in order it is the lost read: page_count is 3"
        ),
        "linux-5.11": _violates(
            f"{LOST} {SEEN}",
            "told in order it is the lost read: O_DIRECT gets, and page_count is 3",
        ),
        "linux-5.19": _violates(
            f"{LOST} {SEEN}", "told in order it is the lost read: shared, and page_count is 3"
        ),
        "linux-6.5": _clean(_6_5_COPIES),
    },
    "dontfork": {
        "linux-2.6.29": _clean(_DONTFORK),
        "redhat-2.6.18": _clean(_DONTFORK),
        "arcangeli-2009-v1": _clean(_DONTFORK),
        "arcangeli-2009-page-multiple": _clean(_REFUSED),
        "arcangeli-2009-v2": _clean(_DONTFORK),
        "piggin-2009-page": _clean(_DONTFORK),
        "linux-4.19": _clean(_DONTFORK),
        "linux-5.8": _clean(_DONTFORK),
        "linux-5.9": _clean(_DONTFORK),
        "linux-5.11": _clean(_DONTFORK),
        "linux-5.19": _clean(_DONTFORK),
        "linux-6.5": _clean(_DONTFORK),
    },
    "child-exits-first": {
        "linux-2.6.29": _clean(
            "mapcount is 1 again when the parent stores, so it reuses the frame (ground truth a2"
            " on 4.19)"
        ),
        "redhat-2.6.18": _clean(_REDHAT_COPIES),
        "arcangeli-2009-v1": _clean(_V1_COPIES),
        "arcangeli-2009-page-multiple": _clean(_REFUSED),
        "arcangeli-2009-v2": _clean(_V2_COPIES),
        "piggin-2009-page": _clean(_PIGGIN_COPIES),
        "linux-4.19": _clean(
            "mapcount is 1 again when the parent stores: reuse_swap_page() says yes (ground"
            " truth a2 on 4.19)"
        ),
        "linux-5.8": _clean("mapcount is 1 again when the parent stores, as in 2.6.29"),
        "linux-5.9": _violates(
            LOST,
            "page_count is 2 although nobody shares: the device's get makes the parent copy"
            " (09854ba94c6a; ground truth a2 on 5.10)",
        ),
        "linux-5.11": _violates(
            LOST,
            "page_count is 2 although nobody shares: the device's get makes the parent copy (ground"
            " truth a2 on 5.10)",
        ),
        "linux-5.19": _violates(
            LOST,
            "fork cleared PG_anon_exclusive for ever, and page_count is 2 (ground truth a2 on 6.1)",
        ),
        "linux-6.5": _clean(_6_5_COPIES),
    },
}

"""Linux 6.5: 5.19, and O_DIRECT pins.

Block, iomap and legacy direct I/O take their pages with FOLL_PIN, so that
fork copies them for the child: the first mainline kernel on which an
O_DIRECT read in flight survives fork.

Holds:   O_DIRECT reads and writes, and every registration, over fork.
Breaks:  vmsplice still gets: what its reader receives may be old, and of hugetlb
         it is what the parent stores (secret-leak), as in 5.19; fork's copy
         is no snapshot, as in 5.9 (torn-fork-copy).
Costs:   at fork a page copy for each page under direct I/O.
Source:  Linux v6.5, lib/iov_iter.c:iov_iter_extract_pages, block/bio.c.
         Since Linux kernel commits a7e689dd1c06 ("block: Convert
         bio_iov_iter_get_pages to use iov_iter_extract_pages") and
         1ccf164ec866 ("block: Use iov_iter_extract_pages() and page pinning
         in direct-io.c"); 84209e87c696 ("mm/gup: reliable R/O long-term
         pinning in COW mappings") (in v6.2), so that who holds the zero page
         to read it later gets a page of its own; b40656aa7d55 ("RDMA/umem:
         remove FOLL_FORCE usage") (in v6.2).
Not modelled: FUSE, which still gets in 6.5; what linux-5.19 does not model;
         the locks of single VMAs;
         that mprotect makes an exclusive page writable at once (since v6.0).
"""

from __future__ import annotations

from typing import ClassVar

from uemu.abi import Foll
from uemu.mm.hooks import APIS, GupCall
from uemu.mm.page import Page
from uemu.mm.pte import Pte
from uemu.policy.linux_5_19 import Linux5_19
from uemu.step import Cpu


class Linux6_5(Linux5_19):
    """5.19 with O_DIRECT among those who pin."""

    name = "linux-6.5"
    year = 2023
    summary = "as linux-5.19, and O_DIRECT pins: a read in flight survives fork"

    variants: ClassVar = {}
    hugetlb_forced_writes = False
    hugetlb_cow_fn = "hugetlb_wp"

    def gup_kind(self, api: str, *, write: bool) -> GupCall:
        """O_DIRECT is FOLL_PIN, RDMA writes only what is writable, the rest as before."""
        if api == "rdma" and not write:
            return GupCall(Foll.PIN | Foll.LONGTERM, fast=True)
        if api != "o_direct":
            return super().gup_kind(api, write=write)
        return GupCall(Foll.PIN | (Foll.WRITE if write else Foll(0)), APIS[api].fast)

    def must_unshare(self, cpu: Cpu, pte: Pte, page: Page, foll: Foll) -> bool:
        """As before, and a read-only long-term pin never takes the zero page."""
        if page.reserved and Foll.PIN in foll and Foll.WRITE not in foll:
            return Foll.LONGTERM in foll
        return super().must_unshare(cpu, pte, page, foll)

"""No locked pages from gup-fast (Torvalds and Hubbard, 2021-09-29).

The page lock is what shrink_page_list() serializes with, so L. Torvalds would
have fast gup give up on locked pages. J. Hubbard's diff looks at them after
they are pinned, which keeps it small: from the first locked page on it unpins
them and leaves them to the slow path, which does not ask. The rest is 5.11.

Holds:   as 5.11.
Breaks:  as 5.11, and as posted the first locked page is handed out, although it
         has just been unpinned (refcount-leak): the page may be freed while a
         device writes it, and whoever unpins it takes 1024 references that
         others have.
Costs:   as 5.11; gup-fast with FOLL_PIN looks once more at each page.
Relies:  whoever unmaps a page holds its lock all the while. "Merely making the
         race window smaller", writes the author: whoever looks for pins before
         it unmaps may be through when gup-fast looks at the lock, and the page
         is handed out, unmapped (lost-dma-write); and meanwhile pages look
         pinned that nobody will get.
Source:  document 002: L. Torvalds, 2021-09-29 15:47 ("for fast-gup to give up on
         locked pages"); J. Hubbard, 2021-09-29 18:57:33, the diff of
         mm/gup.c:lockless_pages_from_mm ("nr_pinned = i + 1").
         Linux v5.11, as in linux-5.11, for the rest.
Not modelled: what linux-5.11 does not model.
Variants: fixed, nr_pinned = i: what is unpinned is not handed out.
"""

from __future__ import annotations

from typing import ClassVar

from uemu.abi import Foll
from uemu.mm.grab import gup_release
from uemu.mm.page import Page, is_locked
from uemu.policy.linux_5_11 import Linux5_11
from uemu.step import Cpu, Op, Step


class Hubbard2021LockedPages(Linux5_11):
    """5.11, and gup-fast with FOLL_PIN gives up from the first locked page on."""

    name = "hubbard-2021-locked-pages"
    summary = "as linux-5.11, and gup-fast pins no locked page; as posted it hands one out unpinned"
    variants: ClassVar = {"fixed": "the locked page is unpinned and not handed out"}

    def gup_fast_keep(self, cpu: Cpu, pages: list[Page], foll: Foll) -> Op[list[Page]]:
        """Look for the first locked page. Linux: lockless_pages_from_mm, patched."""
        if Foll.PIN not in foll:
            return pages
        for i, page in enumerate(pages):
            yield Step("lockless_pages_from_mm", "PageLocked ?")
            if is_locked(cpu, page):
                for unpinned in pages[i:]:
                    yield Step("unpin_user_pages", f"release pfn {unpinned.pfn}", locked=True)
                    gup_release(self.mech, cpu, unpinned, foll)
                return pages[: i if self.variant == "fixed" else i + 1]
        return pages

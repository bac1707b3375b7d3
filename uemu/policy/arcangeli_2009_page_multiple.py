"""O_DIRECT in whole pages alone (Arcangeli, 2009-03-11): what is less is refused.

"If something I'd rather see O_DIRECT not supporting hardblocksize anymore but
only PAGE_SIZE multiples, that would at least limiting the breakage to an
undefined behavior." Two buffers then never share a page, nor a buffer and
what else a heap has: whoever stores to a page under I/O stores to the buffer.
The rest is 2.6.29.

Holds:   a neighbour's store, or a second direct read beside the first, never
         takes a page under direct I/O from its holder: there are no
         neighbours.
Breaks:  a program that reads or writes less than pages gets EINVAL. fork
         still shares what is held: a device write is seen by the child
         (dma-write-seen-by-other), and lost by a holder who stores to the
         buffer meanwhile (lost-dma-write), the breakage he calls undefined
         behaviour; a device that reads memory receives the child's bytes when
         the parent left the page first (foreign-dma-read). Everybody else who
         holds part of a page, registrations included, is as in 2.6.29.
Costs:   nothing in the kernel; programs copy what is less than a page.
Relies:  programs touch no buffer while it is under I/O, as they are told.
Source:  Message-ID <20090311183748.GK27823@random.random> (A. Arcangeli,
         2009-03-11 18:37), document 003, the sentence above: he would rather
         see that than leave the bug, and posted no patch. That address and
         length of each piece count, and that the answer is EINVAL, as for
         hardblocksize, is the plainest reading.
         Linux v2.6.29, as in linux-2.6.29, for the rest.
Not modelled: the offset in the file, which would be refused, too.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.policy.linux_2_6_29 import Linux2_6_29


class Arcangeli2009PageMultiple(Linux2_6_29):
    """2.6.29, and O_DIRECT refuses what is not whole pages."""

    name = "arcangeli-2009-page-multiple"
    summary = "as linux-2.6.29, and O_DIRECT takes whole pages alone: EINVAL for the rest"
    dio_multiple = PAGE_SIZE

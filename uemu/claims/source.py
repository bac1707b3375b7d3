"""Where a claim stands: who wrote it, when, and in which mail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Source:
    """One mail.

    Attributes:
        author: who wrote it.
        when: date and time, UTC: ``2009-03-11 18:37``; as much of it as is known.
        message_id: of the mail, without the angle brackets; "" where the document
            that has it does not tell.
        document: the number of the document that has it.
    """

    author: str
    when: str
    message_id: str
    document: str = "003"

    def __str__(self) -> str:
        return f"{self.author}, {self.when}"

    @property
    def cited(self) -> str:
        """Everything about it, in a line."""
        known = f", <{self.message_id}>" if self.message_id else ""
        return f"{self}, document {self.document}{known}"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "author": self.author,
            "when": self.when,
            "message_id": self.message_id or None,
            "document": self.document,
        }


def arcangeli(when: str, message_id: str) -> Source:
    """A mail of A. Arcangeli in March 2009; ``when`` is ``11 18:37``."""
    return _march("A. Arcangeli", when, message_id)


def torvalds(when: str, message_id: str) -> Source:
    """A mail of L. Torvalds in March 2009."""
    return _march("L. Torvalds", when, message_id)


def piggin(when: str, message_id: str) -> Source:
    """A mail of N. Piggin in March 2009."""
    return _march("N. Piggin", when, message_id)


def herrenschmidt(when: str, message_id: str) -> Source:
    """A mail of B. Herrenschmidt in March 2009."""
    return _march("B. Herrenschmidt", when, message_id)


def kosaki(when: str, message_id: str) -> Source:
    """A mail of KOSAKI Motohiro in March 2009."""
    return _march("KOSAKI M.", when, message_id)


def kamezawa(when: str, message_id: str) -> Source:
    """A mail of KAMEZAWA Hiroyuki in March 2009."""
    return _march("KAMEZAWA H.", when, message_id)


def _march(author: str, when: str, message_id: str) -> Source:
    return Source(author, f"2009-03-{when}", message_id)


GUNTHORPE = Source("J. Gunthorpe", "2021-12-21 23:54", "20211221235402.GH1432915@nvidia.com", "000")
"""The mail on the two models of PageAnonExclusive."""

HILDENBRAND = Source(
    "D. Hildenbrand", "2022-04-28 08:34", "20220428083441.37290-1-david@redhat.com", "001"
)
"""The cover letter of the 17 patches."""

XU = Source("P. Xu", "2021-09-29 19:57", "", "002")
TORVALDS_2021 = Source("L. Torvalds", "2021-09-29 22:47", "", "002")
HUBBARD = Source("J. Hubbard", "2021-09-30 01:57", "", "002")
KARA = Source("J. Kara", "2021", "", "002")
"""The mails of the thread on who looks for pins; the document is the last one, without its head."""

QUOTED = Source("A. Arcangeli", "2009-04", "", "004")
"""A mail of which there is what KOSAKI M. quotes on 2009-04-19, without its head."""

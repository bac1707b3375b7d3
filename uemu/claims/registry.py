"""The claims by id."""

from __future__ import annotations

import difflib
from typing import Final

from uemu.claims import (
    costs,
    counts,
    decow,
    directed,
    exclusive,
    locks,
    marking,
    notifier,
    pins,
    race,
    reclaim,
    swapped,
    users,
)
from uemu.claims.claim import Claim

_FAMILIES = (race, marking, directed, locks, decow, counts, reclaim, pins, exclusive, users, costs,
             notifier, swapped)  # fmt: skip

CLAIMS: Final[dict[str, Claim]] = {
    claim.id: claim
    for claim in sorted(
        (claim for family in _FAMILIES for claim in family.CLAIMS), key=lambda claim: claim.id
    )
}

LAST: Final = 49
"""The claims of the debate go by the numbers 1 to this."""


def find_claim(id_: str) -> Claim:
    """Return the claim of that id, in capitals or not.

    Raises:
        ValueError: there is none, or nothing here can decide it yet.
    """
    wanted = id_.upper()
    if wanted in CLAIMS:
        return CLAIMS[wanted]
    if wanted in {f"C{number:02}" for number in range(1, LAST + 1)}:
        raise ValueError(f"{wanted} cannot be decided by this version of uemu: it needs what is"
                         " not emulated yet")  # fmt: skip
    near = difflib.get_close_matches(wanted, CLAIMS, n=3, cutoff=0.6) or list(CLAIMS)
    raise ValueError(f"unknown claim {id_!r}; nearest: {', '.join(near)}")

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


def find_claim(id_: str) -> Claim:
    """Return the claim of that id, in capitals or not.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    wanted = id_.upper()
    if wanted in CLAIMS:
        return CLAIMS[wanted]
    near = difflib.get_close_matches(wanted, CLAIMS, n=3, cutoff=0.6) or list(CLAIMS)
    raise ValueError(f"unknown claim {id_!r}; nearest: {', '.join(near)}")

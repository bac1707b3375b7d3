"""The watches by name."""

from __future__ import annotations

from typing import Final

from uemu.claims.frame_watches import HalfUpdates, Leavers, Nuked, Reuses
from uemu.claims.io_watches import Cached, FastPins, Missing, Unwarned
from uemu.claims.mapping_watches import Mapcounts, WritableCached
from uemu.claims.watch import Watch

WATCHES: Final[dict[str, type[Watch]]] = {
    "leavers": Leavers,
    "reuses": Reuses,
    "half-updates": HalfUpdates,
    "nuked": Nuked,
    "unwarned": Unwarned,
    "missing": Missing,
    "cached": Cached,
    "fast-pins": FastPins,
    "writable-cached": WritableCached,
    "mapcounts": Mapcounts,
}
"""The watches by name."""

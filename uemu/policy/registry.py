"""The policies by name."""

from __future__ import annotations

import difflib
import re
from typing import Final

from uemu.mm.hooks import PolicyHooks
from uemu.policy.arcangeli_2009_page_multiple import Arcangeli2009PageMultiple
from uemu.policy.arcangeli_2009_v1 import Arcangeli2009V1
from uemu.policy.arcangeli_2009_v2 import Arcangeli2009V2
from uemu.policy.hildenbrand_2021_model1 import Hildenbrand2021Model1
from uemu.policy.hildenbrand_2021_model2 import Hildenbrand2021Model2
from uemu.policy.hubbard_2021_locked_pages import Hubbard2021LockedPages
from uemu.policy.kamezawa_2009_dio_lock import Kamezawa2009DioLock
from uemu.policy.kara_2021_unmap_if_not_pinned import Kara2021UnmapIfNotPinned
from uemu.policy.kosaki_2009_directio_sem import Kosaki2009DirectioSem
from uemu.policy.kosaki_2009_dont_unmap import Kosaki2009DontUnmap
from uemu.policy.kosaki_2009_pinned_sem import Kosaki2009PinnedSem
from uemu.policy.linux_2_4_dio_pglock import Linux2_4DioPglock
from uemu.policy.linux_2_6_7 import Linux2_6_7
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.linux_4_19 import Linux4_19
from uemu.policy.linux_5_8 import Linux5_8
from uemu.policy.linux_5_9 import Linux5_9
from uemu.policy.linux_5_11 import Linux5_11
from uemu.policy.linux_5_19 import Linux5_19
from uemu.policy.linux_6_5 import Linux6_5
from uemu.policy.piggin_2009_one_reader import Piggin2009OneReader
from uemu.policy.piggin_2009_page import Piggin2009Page
from uemu.policy.piggin_2009_vma import Piggin2009Vma
from uemu.policy.redhat_2_6_18 import Redhat2_6_18
from uemu.policy.torvalds_2009_directed_cow import Torvalds2009DirectedCow
from uemu.policy.torvalds_2009_fork_lock import Torvalds2009ForkLock
from uemu.policy.torvalds_2009_mmap_sem import Torvalds2009MmapSem
from uemu.policy.torvalds_2009_page_count import Torvalds2009PageCount

POLICIES: Final[dict[str, type[PolicyHooks]]] = {
    policy.name: policy
    for policy in (
        Linux2_4DioPglock,
        Linux2_6_7,
        Linux2_6_29,
        Redhat2_6_18,
        Arcangeli2009V1,
        Arcangeli2009PageMultiple,
        Arcangeli2009V2,
        Piggin2009Vma,
        Piggin2009Page,
        Piggin2009OneReader,
        Torvalds2009MmapSem,
        Torvalds2009ForkLock,
        Torvalds2009DirectedCow,
        Torvalds2009PageCount,
        Kosaki2009DirectioSem,
        Kosaki2009PinnedSem,
        Kamezawa2009DioLock,
        Kosaki2009DontUnmap,
        Linux4_19,
        Linux5_8,
        Linux5_9,
        Linux5_11,
        Hubbard2021LockedPages,
        Kara2021UnmapIfNotPinned,
        Hildenbrand2021Model1,
        Hildenbrand2021Model2,
        Linux5_19,
        Linux6_5,
    )
}

KERNELS: Final = tuple(name for name in POLICIES if re.fullmatch(r"linux-[0-9.]+", name))
"""The policies that stand for a released kernel of the main line, the oldest first."""

NEWEST: Final = "linux-6.5"
"""The policy of the newest kernel."""


def all_names() -> list[str]:
    """Every policy, each followed by its variants as ``NAME:VARIANT``."""
    return [
        name if variant is None else f"{name}:{variant}"
        for name, policy in POLICIES.items()
        for variant in (None, *policy.variants)
    ]


def make_policy(name: str) -> PolicyHooks:
    """Return a fresh policy for ``NAME`` or ``NAME:VARIANT``.

    Raises:
        ValueError: unknown; the message names the nearest known ones.
    """
    base, colon, variant = name.partition(":")
    if base not in POLICIES:
        near = difflib.get_close_matches(base, POLICIES, n=3, cutoff=0.4) or list(POLICIES)
        raise ValueError(f"unknown policy {base!r}; nearest: {', '.join(near)}")
    if colon and not variant:
        raise ValueError(f"{name!r} names no variant; without one it is {base!r}")
    return POLICIES[base](variant)


def summary_of(name: str) -> str:
    """A policy in one line, or the variant of it that ``NAME:VARIANT`` names.

    Raises:
        ValueError: as `make_policy`.
    """
    policy = make_policy(name)
    return policy.variants[policy.variant] if policy.variant else policy.summary

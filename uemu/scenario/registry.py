"""The scenarios by name."""

from __future__ import annotations

import difflib
from typing import Final

from uemu.scenario import (
    big_read_cost,
    big_vma_cost,
    both_pinned_for_read,
    child_corrupted,
    child_exits_first,
    clean_swapcache_dirty,
    clear_refs_vs_gup_fast,
    clear_refs_while_pinned,
    dofork_again,
    dontfork,
    dontfork_collateral,
    exit_in_flight,
    fork_copy_tearing,
    fork_mid_update,
    fork_then_direct_read,
    forkscrew,
    forkscrewreverse,
    grandchild,
    gup_fast_again_vs_fork,
    gup_fast_vs_fork,
    hugetlb_child_exits_first,
    hugetlb_lost_read,
    hugetlb_reverse_race,
    hugetlb_tearing,
    ksm_merge_pinned,
    lost_read,
    lost_read_aligned,
    lost_read_no_child_write,
    map_shared,
    migration_while_pinned,
    mprotect_fork,
    mprotect_toggle_while_pinned,
    mremap_in_flight,
    munmap_in_flight,
    pin_vs_reclaim,
    posix_spawn,
    reclaim_vs_gup_fast,
    refork,
    reverse_race,
    ro_longterm_pin,
    ro_pin_then_fork,
    ro_pin_zero_page,
    ro_vma_odirect_write,
    snapshot_writeout_cost,
    swap_out_while_pinned,
    swapcache_false_cow,
    swapped_out_pinned_then_fork,
    thp_child_exits_first,
    thp_lost_read,
    thp_other_subpage,
    thp_reverse_race,
    thp_tearing,
    two_readers_one_page,
    vfork_exec,
    vmsplice_child_leak,
    vmsplice_self_drain,
    vmsplice_then_fork,
    wipeonfork,
)
from uemu.scenario.script import Scenario

SCENARIOS: Final[dict[str, Scenario]] = {
    module.SCENARIO.name: module.SCENARIO
    for module in (
        lost_read,
        lost_read_aligned,
        lost_read_no_child_write,
        child_corrupted,
        two_readers_one_page,
        forkscrew,
        reverse_race,
        ro_pin_then_fork,
        both_pinned_for_read,
        gup_fast_vs_fork,
        fork_copy_tearing,
        mprotect_toggle_while_pinned,
        mprotect_fork,
        gup_fast_again_vs_fork,
        fork_mid_update,
        dontfork,
        child_exits_first,
        refork,
        grandchild,
        fork_then_direct_read,
        munmap_in_flight,
        exit_in_flight,
        mremap_in_flight,
        ro_longterm_pin,
        ro_pin_zero_page,
        ro_vma_odirect_write,
        vmsplice_child_leak,
        vmsplice_then_fork,
        vmsplice_self_drain,
        dofork_again,
        wipeonfork,
        map_shared,
        dontfork_collateral,
        vfork_exec,
        posix_spawn,
        snapshot_writeout_cost,
        big_vma_cost,
        big_read_cost,
        forkscrewreverse,
        swap_out_while_pinned,
        swapped_out_pinned_then_fork,
        swapcache_false_cow,
        reclaim_vs_gup_fast,
        pin_vs_reclaim,
        clean_swapcache_dirty,
        clear_refs_while_pinned,
        clear_refs_vs_gup_fast,
        ksm_merge_pinned,
        migration_while_pinned,
        thp_lost_read,
        thp_other_subpage,
        thp_reverse_race,
        thp_child_exits_first,
        thp_tearing,
        hugetlb_lost_read,
        hugetlb_reverse_race,
        hugetlb_child_exits_first,
        hugetlb_tearing,
    )
}


def find_scenario(name: str) -> Scenario:
    """Return the scenario called ``name``.

    Raises:
        ValueError: unknown; the message names the nearest known ones.
    """
    if name not in SCENARIOS:
        near = difflib.get_close_matches(name, SCENARIOS, n=3, cutoff=0.4) or list(SCENARIOS)
        raise ValueError(f"unknown scenario {name!r}; nearest: {', '.join(near)}")
    return SCENARIOS[name]

"""What the kernel writes when a task begins and ends: tid words, and robust mutexes.

Where that is write-protected the kernel gives up silently: whoever waits for a
thread, or for a mutex that it held, waits for ever.

Not modelled: CLONE_PARENT_SETTID into a page that the fork itself write-protects.

Source: clone(2), set_tid_address(2), get_robust_list(2); Linux v6.1,
    kernel/fork.c:mm_release, schedule_tail, kernel/futex/core.c:exit_robust_list.
"""

from __future__ import annotations

import contextlib
import struct
from typing import Final

from uemu.abi import (
    CLONE_CHILD_SETTID,
    PAGE_MASK,
    SYS_CLONE,
    SYS_CLONE3,
    SYS_GET_ROBUST_LIST,
    SYS_PRCTL,
)
from uemu.host.tracee import Stop
from uemu.live.area import Slot
from uemu.live.program.framing import Framing
from uemu.live.program.outputs_rules import Peek, Range, bytes_at, number_at
from uemu.live.program.tasks import Task
from uemu.live.program.tracees import GONE, Tracees

PR_GET_TID_ADDRESS: Final = 40
ROBUST_LIST_LIMIT: Final = 2048
HEAD: Final = 24


def child_tid_at(task: Task, call: Stop | None, framing: Framing) -> int:
    """Where a forked child's tid is to be, of a task at that call; 0: nowhere in a frame."""
    flags = addr = 0
    if call is not None and call.nr == SYS_CLONE:
        flags, addr = call.args[0], call.args[3]
    elif call is not None and call.nr == SYS_CLONE3:
        # What cannot be read, the kernel refuses; of who is dead nothing can be.
        data = bytes_at(task.mm.memory.read, call.args[0], 24)
        flags, _, addr = struct.unpack("=QQQ", data.ljust(24, b"\0"))
    is_framed = framing.pte(task.mm, addr & PAGE_MASK) is not None
    return addr if flags & CLONE_CHILD_SETTID and is_framed else 0


def tell_its_tid(parent: Task, child: Task, framing: Framing, addr: int, before: bytes) -> None:
    """Do what the kernel does for CLONE_CHILD_SETTID, in a page that is a frame.

    The kernel did it before the child's first stop, with its parent's
    mappings: in vain where the fork has write-protected them, and into its
    parent's frame where it has not, since the child has a copy.

    Args:
        addr: where, as `child_tid_at` said.
        before: what the parent had there.
    """
    if not addr or framing.pte(child.mm, addr & PAGE_MASK) is None:
        return
    # It may have been killed since.
    with contextlib.suppress(*GONE):
        if parent.mm.memory.read(addr, 4) != before:
            parent.mm.memory.write(addr, before)
    framing.break_cow(child, [(addr, 4)])
    child.mm.memory.write(addr, child.tid.to_bytes(4, "little"))


def written_at_exit(tracees: Tracees, slot: Slot, task: Task) -> list[Range]:
    """The words that the kernel may write when a task that stands at a call ends there."""
    at = slot.buffer
    slot.put(bytes(24))
    # Without CONFIG_CHECKPOINT_RESTORE nobody knows where the tid word is.
    tracees.inject(task, [(SYS_PRCTL, PR_GET_TID_ADDRESS, at, 0, 0, 0, 0)])
    tracees.inject(task, [(SYS_GET_ROBUST_LIST, 0, at + 8, at + 16, 0, 0, 0)])
    tid_address, robust, _ = struct.unpack("=QQQ", slot.get(24))
    ranges = [(tid_address, 4)] if tid_address else []
    if robust:
        ranges += robust_words(robust, task.mm.memory.read)
    return ranges


def robust_words(head: int, peek: Peek) -> list[Range]:
    """The futex words of a list of robust mutexes, and of the one that is being taken.

    Args:
        head: struct robust_list_head: the first entry, the distance from an
            entry to its word, and the entry that is not in the list yet.
    """
    data = bytes_at(peek, head, HEAD)
    if len(data) < HEAD:
        return []
    entry, distance, pending = struct.unpack("=QqQ", data)
    found = [(pending & ~1) + distance] if pending else []
    for _ in range(ROBUST_LIST_LIMIT):
        # The lowest bit says that it is a mutex with priority inheritance.
        entry &= ~1
        if entry in (0, head):
            break
        if entry != pending & ~1:
            found.append(entry + distance)
        entry = number_at(peek, entry, 8)
    return [(word, 4) for word in found if word > 0]

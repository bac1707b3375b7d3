"""io_uring: io_uring_setup and io_uring_enter.

A program's ring is a real one. At io_uring_enter, what is ours (`uring_request`)
is taken from the submission queue: the kernel finds an entry there that does
nothing and tells nothing, and takes the others itself. A result of ours is posted
to the ring from one of our own, so that the kernel keeps its completion queue:
waiting, overflow, eventfds.

uring_abi       numbers
uring_rings     which rings there are, and their ends
uring_ring      a ring and its queue
uring_request   what one entry asks for
uring_chain     linked ones
uring_outputs   what the kernel writes for those it has
uring_register  registered buffers and files

Not modelled: rings that came by SCM_RIGHTS; cancelling what is ours (ENOENT);
IOSQE_IO_DRAIN in a ring that has had requests of ours (EOPNOTSUPP); that a page
becomes a frame, or is write-protected by a fork, while a request that is the
kernel's is to write it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from uemu import abi as linux
from uemu.host import procfs, tracee
from uemu.host import uring as host
from uemu.host.tracee import Stop
from uemu.live.program import uring_abi as abi
from uemu.live.program.framing import Framing, can_act
from uemu.live.program.loader import Loader, NotLoaded
from uemu.live.program.tasks import ProgramMm, Task
from uemu.live.program.tracees import GONE, Tracees
from uemu.live.program.uring_abi import Sqe
from uemu.live.program.uring_chain import Chain
from uemu.live.program.uring_outputs import writes_of_entry
from uemu.live.program.uring_request import Requests, Work, over_at_once
from uemu.live.program.uring_ring import Entered, Queue, Ring
from uemu.live.program.uring_rings import Rings


class Uring:
    """The rings of all programs."""

    def __init__(
        self,
        tracees: Tracees,
        framing: Framing,
        loader: Loader,
        requests: Requests,
        rings: Rings,
        note: Callable[[str], None],
    ) -> None:
        self._tracees = tracees
        self._framing = framing
        self._loader = loader
        self._requests = requests
        self._note = note
        self._poster = host.Poster()
        self._rings = rings
        self._ready: list[Chain] = []

    def close(self) -> None:
        """Give everything back."""
        self._rings.close()
        self._poster.close()

    # Rings -----------------------------------------------------------------------------------

    def setup(self, task: Task, stop: Stop) -> None:
        """io_uring_setup(2)."""
        refused = self._refusal(task, stop.args[1])
        if refused:
            self._tracees.return_from_call(task, -refused)
            return
        self._framing.break_cow(task, [(stop.args[1], abi.PARAMS_BYTES)])
        entries, where = stop.args[:2]
        call = (linux.SYS_IO_URING_SETUP, entries, where, 0, 0, 0, 0)
        (fd,) = self._tracees.inject(task, [call])
        if 0 <= fd < 1 << 31:
            try:
                self._loader.watch_closes(self._tracees, task)
            except NotLoaded as why:
                self._note(f"the ends of io_urings are not noticed: {why}")
            params = task.mm.memory.read(stop.args[1], abi.PARAMS_BYTES)
            self._rings.add(task, fd, Ring.of(params))
        self._tracees.return_from_call(task, fd)

    def _refusal(self, task: Task, where: int) -> int:
        """An errno, and it is said why; 0: the kernel may decide."""
        try:
            params = task.mm.memory.read(where, abi.PARAMS_BYTES)
        except OSError:
            return 0
        flags = int.from_bytes(params[8:12], "little")
        for flag, name in abi.SETUP_REFUSED.items():
            if flags & flag:
                self._note(f"{name} is not supported: io_uring_setup is refused (EINVAL)")
                return errno.EINVAL
        if flags & ~abi.SETUP_KNOWN:
            self._note(f"io_uring_setup with flags {flags & ~abi.SETUP_KNOWN:#x} is not supported:"
                       " it is refused (EINVAL)")  # fmt: skip
            return errno.EINVAL
        if self._poster.open():
            self._note("io_uring is not supported here, for uemu needs IORING_OP_MSG_RING, which"
                       " came with Linux 5.18: io_uring_setup is refused (ENOSYS)")  # fmt: skip
            return errno.ENOSYS
        return 0

    def returned(self, task: Task) -> None:
        """A task's io_uring_enter is over, if it is not to be made again.

        It ends without an error also where it was interrupted and there are some completions,
        but fewer than it waits for. Linux v6.18: io_uring/io_uring.c:io_cqring_wait.
        """
        entered, stop = task.entered, task.stop
        if entered is None or stop is None or task.again:
            return
        was_new = entered.count if not entered.submitted else 0
        if stop.msg == was_new and not entered.is_timed and not procfs.signal_waits(task.tid):
            ring = self._rings.ring_of(task, entered.fd)
            queue = self._queue(task, entered.fd, ring) if ring is not None else None
            if ring is not None and queue is not None:
                is_early = queue.ready < min(entered.least, ring.cq_entries)
                queue.close()
                if is_early and tracee.set_count(task.tid, 0) == tracee.replay(task.tid) == 0:
                    task.again = True
                    task.entered = replace(entered, submitted=entered.submitted or stop.msg)
                    return
        self._tracees.has_entered(task)

    def _queue(self, task: Task, fd: int, ring: Ring) -> Queue | None:
        """A ring's queue; None: it is closed."""
        own = tracee.getfd(task.pid, fd & 0xFFFF_FFFF, task.tid)
        if own < 0:
            return None
        try:
            return Queue(ring, own) if host.is_ring(own) else None
        finally:
            os.close(own)

    # Requests --------------------------------------------------------------------------------

    def enter(self, task: Task, stop: Stop) -> None:
        """io_uring_enter(2)."""
        fd, count, flags = stop.args[0], stop.args[1] & 0xFFFF_FFFF, stop.args[3]
        ring = None
        if not flags & abi.ENTER_REGISTERED_RING:
            ring = self._rings.ring_of(task, fd)
        queue = self._queue(task, fd, ring) if count and ring is not None else None
        if ring is None or queue is None:
            self._wait(task, stop, 0)
            return
        try:
            self._submit(task, stop, ring, queue, count)
        finally:
            queue.close()

    def _wait(self, task: Task, stop: Stop, submitted: int) -> None:
        """Let a task make its call, in the middle of which it may wait."""
        flags = stop.args[3]
        is_again = task.entered is not None and not stop.args[1]
        if flags & abi.ENTER_GETEVENTS and not is_again:
            is_timed = bool(flags & abi.ENTER_EXT_ARG)
            task.entered = Entered(stop.args[0], stop.args[1], submitted, stop.args[2], is_timed)
        if submitted:
            tracee.set_count(task.tid, 0)
        self._tracees.pass_call(task, tracee.TO_RETURN)

    def _submit(self, task: Task, stop: Stop, ring: Ring, queue: Queue, count: int) -> None:
        batch = queue.pending(count)
        sorted_out = [(slot, sqe, self._requests.work_of(task, ring, sqe)) for slot, sqe in batch]
        drains = any(sqe.flags & abi.DRAIN for _, sqe in batch)
        ring.drains = ring.drains or drains
        chains = self._chains(task, ring, sorted_out)
        if (drains and ring.has_taken) or (ring.drains and chains):
            self._note("io_uring: IOSQE_IO_DRAIN beside direct I/O or registered buffers is not"
                       " supported: such requests are refused (EOPNOTSUPP)")  # fmt: skip
        for _, sqe, work in sorted_out:
            if work is None:
                ring.note(sqe)
                writes = writes_of_entry(sqe, task.mm.memory.read)
                self._framing.break_cow(task, writes)
        if not chains:
            self._wait(task, stop, 0)
            return
        ring.has_taken = True
        result, taken = self._hand_over(task, stop, queue, chains, count)
        for first, _, works in chains:
            chain = Chain(task.mm, works, partial(self._post, ring), self._ready.append)
            if first < taken:
                chain.go_on(task)
            else:
                chain.drop()
        waits = stop.args[3] & abi.ENTER_GETEVENTS and not queue.has_enough(stop.args[2])
        if result != count or not waits:
            self._tracees.return_from_call(task, result)
            return
        # What is left of the call is to wait.
        self._wait(task, stop, result)

    def _chains(
        self, task: Task, ring: Ring, entries: list[tuple[int, Sqe, Work | None]]
    ) -> list[tuple[int, list[int], list[Work]]]:
        """Those of which all are ours: where each begins, its slots, its requests."""
        found = []
        first = 0
        for i, (_, sqe, _) in enumerate(entries):
            if sqe.is_linked and i + 1 < len(entries):
                continue
            chain, start, first = entries[first : i + 1], first, i + 1
            if any(work is not None for _, _, work in chain):
                works = self._all_ours(task, ring, chain)
                found.append((start, [slot for slot, _, _ in chain], works))
        return found

    def _all_ours(
        self, task: Task, ring: Ring, chain: list[tuple[int, Sqe, Work | None]]
    ) -> list[Work]:
        """A chain of which one is ours is ours, or is refused."""
        works: list[Work] = []
        for _, sqe, work in chain:
            ours = work or self._requests.linked_to_ours(task, ring, sqe)
            if ours is None or ring.drains:
                for each in works:
                    each.drop()
                if ours is None:
                    self._note(f"io_uring: {abi.name_of(sqe.opcode)} linked to direct I/O or a"
                               " registered buffer is not supported: it is refused"
                               " (EOPNOTSUPP)")  # fmt: skip
                else:
                    ours.drop()
                return [over_at_once(each, -errno.EOPNOTSUPP) for _, each, _ in chain]
            works.append(ours)
        return works

    def _hand_over(
        self,
        task: Task,
        stop: Stop,
        queue: Queue,
        chains: list[tuple[int, list[int], list[Work]]],
        count: int,
    ) -> tuple[int, int]:
        """Let the kernel take what is its own; what it returns, and how many entries it took."""
        slots = [slot for _, slots, _ in chains for slot in slots]
        before, head = {slot: queue.bytes_at(slot) for slot in slots}, queue.head
        for slot in slots:
            queue.put(slot, abi.NOTHING)
        try:
            call = (linux.SYS_IO_URING_ENTER, stop.args[0], count, 0, 0, 0, 0)
            (result,) = self._tracees.inject(task, [call])
        except BaseException:
            for _, _, works in chains:
                for work in works:
                    work.drop()
            raise
        finally:
            for slot, entry in before.items():
                queue.put(slot, entry)
        return result, queue.head - head & 0xFFFF_FFFF

    def _post(self, ring: Ring, sqe: Sqe, result: int) -> None:
        """Complete a request. A ring that is closed is told nothing."""
        for pid, fd in self._rings.names_of(ring):
            tid = next(t.tid for t in self._tracees.tasks.values() if t.pid == pid)
            own = tracee.getfd(pid, fd, tid)
            if own >= 0:
                try:
                    if host.is_ring(own) and self._poster.post(own, sqe.user_data, result) == 0:
                        return
                finally:
                    os.close(own)

    def look(self) -> None:
        """Begin what waited for another that it is linked to."""
        while self._ready:
            chain = self._ready.pop()
            with contextlib.suppress(*GONE), self._actor(chain.mm) as task:
                if task is None:
                    chain.drop()
                else:
                    chain.go_on(task)

    @contextlib.contextmanager
    def _actor(self, mm: ProgramMm) -> Iterator[Task | None]:
        """A stopped task in which calls can be made; None: nobody is left."""
        actor = next((task for task in mm.tasks if can_act(task)), None)
        frozen: list[Task] = []
        if actor is None:
            frozen = self._tracees.freeze([mm], None)
            actor = next((task for task in mm.tasks if can_act(task)), None)
        try:
            yield actor
        finally:
            self._tracees.thaw(frozen)

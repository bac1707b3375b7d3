"""What happens, as values: the only thing the oracle and the reports see.

An event is emitted inside the step that causes it. ``cpu`` is the name of
the CPU (a thread, a task) it happened on, ``mm`` the number of an address
space, ``pfn`` the number of a page frame; ``base`` is a page-aligned user
address and ``addr`` any user address, both in bytes.

Frames are seen through a PTE or through a device. An event that shows what
an mm *sees* carries the bytes, so that whoever judges needs no page table.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

MmId = int


@dataclass(frozen=True, slots=True)
class Frame:
    """A function of a program that a thread was in when an event happened.

    Attributes:
        pc: where it was, or is to go on.
        module: the file that its code is in, or "".
        function: its name, or "".
        file: the source it was compiled from, or "".
        line: the line in that; 0: unknown.
    """

    pc: int
    module: str
    function: str
    file: str
    line: int


class MmCreated(NamedTuple):
    """An address space began; ``parent`` is the mm it was forked from."""

    mm: MmId
    name: str
    parent: MmId | None


class MmGone(NamedTuple):
    """An address space ended; it maps nothing any more."""

    mm: MmId


class Forked(NamedTuple):
    """fork(2) is over: ``child`` has its page table and may run."""

    cpu: str
    mm: MmId
    child: MmId


class FaultTaken(NamedTuple):
    """A CPU access trapped."""

    cpu: str
    mm: MmId
    addr: int
    write: bool


class PteSet(NamedTuple):
    """A page table entry changed. ``pfn`` None: nothing is mapped."""

    cpu: str
    mm: MmId
    base: int
    old_pfn: int | None
    pfn: int | None
    write: bool


class PageCopied(NamedTuple):
    """A new frame was filled from an old one: fn says by whom."""

    cpu: str
    mm: MmId
    base: int
    src: int
    dst: int
    fn: str


class ForkCopyBegan(NamedTuple):
    """fork began to copy frame ``src``, which shows ``data``, to ``dst`` for a child ``mm``.

    Of a huge page ``src`` and ``dst`` are the first frames, and ``data`` is of them all.
    """

    cpu: str
    mm: MmId
    base: int
    src: int
    dst: int
    data: bytes


class ForkCopyEnded(NamedTuple):
    """fork finished the copy in frame ``dst``, which shows ``data``."""

    cpu: str
    mm: MmId
    base: int
    src: int
    dst: int
    data: bytes


class SharedPageAdded(NamedTuple):
    """A frame became part of shared memory: all who map it shall see every store."""

    pfn: int


class PageFreed(NamedTuple):
    """A frame's last reference is gone."""

    pfn: int


class SwappedOut(NamedTuple):
    """Reclaim frees a frame: who wants the page again reads ``slot``, which shows ``data``.

    ``frame`` is what the frame shows last.
    """

    cpu: str
    pfn: int
    slot: int
    frame: bytes
    data: bytes


class Unmapped(NamedTuple):
    """The mm's own munmap, MADV_DONTNEED, exit took away ``[start, end)``."""

    cpu: str
    mm: MmId
    start: int
    end: int


class Moved(NamedTuple):
    """The mm's own mremap moves ``[start, end)`` to ``to``."""

    cpu: str
    mm: MmId
    start: int
    end: int
    to: int


class TlbFlushed(NamedTuple):
    """A CPU dropped its translations of ``[start, end)`` on behalf of ``cpu``."""

    cpu: str
    mm: MmId
    target: str
    start: int
    end: int


class Stored(NamedTuple):
    """A CPU stored ``data`` at ``addr``, inside one page; it went to ``pfn``."""

    cpu: str
    mm: MmId
    addr: int
    pfn: int
    data: bytes


class Loaded(NamedTuple):
    """A CPU loaded ``data`` from ``addr``, inside one page, out of ``pfn``."""

    cpu: str
    mm: MmId
    addr: int
    pfn: int
    data: bytes


class Seen(NamedTuple):
    """What an address space shows at ``base``, a whole page, once nothing runs any more."""

    mm: MmId
    base: int
    pfn: int
    data: bytes


class Held(NamedTuple):
    """One page that a device holds for an mm, and where its bytes lie."""

    mm: MmId
    addr: int
    pfn: int
    offset: int
    length: int


class IoStarted(NamedTuple):
    """A device may access ``held`` from now on.

    ``io`` numbers transfers and registrations alike. ``secondary``: it is a secondary
    MMU, which notifiers keep to what ``mm`` maps.
    """

    cpu: str
    io: int
    api: str
    from_device: bool
    to_device: bool
    long_term: bool
    pinned: bool
    held: tuple[Held, ...]
    secondary: bool = False


class DeviceWrote(NamedTuple):
    """A device stored ``data`` into a frame."""

    io: int
    pfn: int
    offset: int
    data: bytes


class DeviceRead(NamedTuple):
    """A device loaded ``data`` from a frame."""

    io: int
    pfn: int
    offset: int
    data: bytes


class IoChecked(NamedTuple):
    """A request is over: what the holder sees there now through its own PTEs.

    ``seen`` goes with `IoStarted.held`: the pfn the holder maps there (None:
    nothing) and, if that is another frame than the held one, its bytes.
    ``final`` is false for one request of a registration that lives on.
    """

    cpu: str
    io: int
    seen: tuple[tuple[int | None, bytes], ...]
    final: bool


class Waited(NamedTuple):
    """An operation stood before a step that was not enabled; ``done``: it went on."""

    cpu: str
    mm: MmId
    fn: str
    what: str
    done: bool


Event = Any
"""One of the classes of this module."""

P = ParamSpec("P")
E = TypeVar("E")


class EventBus:
    """Hands each event to those who asked for its class, in the order they asked.

    ``trace`` is given every event, of whatever class.

    An event travels as its class and its fields, and becomes an object only
    for those who look at the log: a fault publishes three of them.
    """

    __slots__ = ("_handlers", "_log", "_trace")

    def __init__(self, trace: Callable[[Any], None] | None = None, *, keep: int = 4096) -> None:
        self._trace = trace
        self._handlers: dict[Any, tuple[Callable[..., None], ...]] = {}
        self._log: deque[tuple[Any, tuple[Any, ...]]] = deque(maxlen=keep)

    def subscribe(self, kind: Callable[P, Any], handler: Callable[P, None]) -> None:
        """Call ``handler`` with the fields of each event of the class ``kind``."""
        self._handlers[kind] = (*self._handlers.get(kind, ()), handler)

    def watch(self, kind: type[E], handler: Callable[[E], None]) -> None:
        """Call ``handler`` with each event of the class ``kind`` as an object."""
        self.subscribe(kind, lambda *fields: handler(kind(*fields)))

    if TYPE_CHECKING:

        def publish(self, kind: Callable[P, Any], *fields: P.args, **_: P.kwargs) -> None:
            """Announce an event of class ``kind``; all fields are positional."""

    else:

        def publish(self, kind, *fields):
            """Announce an event of class ``kind``; all fields are positional."""
            self._log.append((kind, fields))
            if self._trace is not None:
                self._trace(kind(*fields))
            for handler in self._handlers.get(kind, ()):
                handler(*fields)

    def emit(self, event: Event) -> None:
        """Announce an event that is an object already."""
        self.publish(type(event), *event)

    def log(self) -> list[Event]:
        """The last events, oldest first."""
        return [kind(*fields) for kind, fields in self._log]

"""A userspace page-pinning emulator: who sees the data when a process forks under DMA.

    with uemu.Machine(policy="linux-2.6.29") as machine:
        parent = machine.spawn()

Layers, each importing only from those above it (tests/test_layers.py):

errors, abi, step, events   words everybody uses
mm, explore, host           the mechanism · the model checker · this machine
policy, dma, oracle         the rules · the devices · the judge
kernel                      all of them joined
live                        real processes
machine, report             the library · what people read
scenario                    stories that run simulated, explored and live
claims                      what was claimed, decided by runs
cli, pytest_plugin          the tools
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from uemu.abi import (
    MADV_DOFORK,
    MADV_DONTFORK,
    MADV_DONTNEED,
    MADV_KEEPONFORK,
    MADV_WIPEONFORK,
    PAGE_SIZE,
    PROT_EXEC,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    Direction,
)
from uemu.errors import Blocked, Fault, HostError, InvariantError, ProcessDied, UemuError

if TYPE_CHECKING:
    from uemu.machine import Machine, Process, Registration, SecondaryMmu, Thread, Transfer
    from uemu.oracle.violations import Violation

DMA_FROM_DEVICE: Final = Direction.FROM_DEVICE
DMA_TO_DEVICE: Final = Direction.TO_DEVICE

__version__ = "0.1.0"

__all__ = [
    "DMA_FROM_DEVICE",
    "DMA_TO_DEVICE",
    "MADV_DOFORK",
    "MADV_DONTFORK",
    "MADV_DONTNEED",
    "MADV_KEEPONFORK",
    "MADV_WIPEONFORK",
    "PAGE_SIZE",
    "PROT_EXEC",
    "PROT_NONE",
    "PROT_READ",
    "PROT_WRITE",
    "Blocked",
    "Fault",
    "HostError",
    "InvariantError",
    "Machine",
    "Process",
    "ProcessDied",
    "Registration",
    "SecondaryMmu",
    "Thread",
    "Transfer",
    "UemuError",
    "Violation",
]

_WHERE: Final = {
    "Machine": "uemu.machine",
    "Process": "uemu.machine",
    "Registration": "uemu.machine",
    "SecondaryMmu": "uemu.machine",
    "Thread": "uemu.machine",
    "Transfer": "uemu.machine",
    "Violation": "uemu.oracle.violations",
}


def __getattr__(name: str) -> Any:
    """Import the library when it is asked for: the pytest plugin is loaded where nobody does."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_WHERE[name]), name)
    return value


def __dir__() -> list[str]:
    """What `__all__` lists is there, imported yet or not."""
    return sorted({*globals(), *__all__})

"""What can go wrong, sorted by whose refusal it is.

Fault           the emulated kernel refused: a value of the experiment.
Blocked         the emulated kernel made a call wait, and nothing else can run.
HostError       this machine refused: what, why, and what to do about it.
ProcessDied     a real process the caller still needed is gone.
InvariantError  the emulator broke a rule of its own: a bug in uemu or in a policy.
Disagreement    real processes did something else than the model: a bug in uemu.

Wrong use by a caller is ``ValueError`` or ``TypeError``, as everywhere in Python.
"""

from __future__ import annotations

import errno as _errno
from collections.abc import Callable
from typing import Any


class UemuError(Exception):
    """Base of every error uemu raises on purpose; each can be pickled."""

    def __reduce__(self) -> tuple[Callable[..., UemuError], tuple[Any, ...]]:
        # What the message was made of is not kept: the error is made without it.
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(cls: type[UemuError], args: tuple[Any, ...], state: dict[str, Any]) -> UemuError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class Fault(UemuError):
    """The emulated kernel refused a call or an access.

    Attributes:
        errno: the kernel's error number, positive (``errno.EFAULT`` ...).
        addr: the user address concerned, in bytes; 0 if there is none.
    """

    def __init__(self, errno: int, addr: int, what: str = "") -> None:
        name = _errno.errorcode.get(errno, str(errno))
        where = f" at {addr:#x}" if addr else ""
        super().__init__(name + where + (f": {what}" if what else ""))
        self.errno = errno
        self.addr = addr


class Blocked(UemuError):
    """A call waits for something that only another call can bring about.

    Attributes:
        waits_for: the step it stands before, in the kernel's words.
    """

    def __init__(self, call: str, waits_for: str) -> None:
        super().__init__(f"{call} waits: {waits_for}, and nothing else can run")
        self.waits_for = waits_for


class HostError(UemuError):
    """This machine refused something uemu needs.

    Attributes:
        what: what uemu tried.
        why: what the machine answered.
        remedy: what a person can do about it.
    """

    def __init__(self, what: str, why: str, remedy: str) -> None:
        super().__init__(f"{what}: {why}. {remedy}")
        self.what = what
        self.why = why
        self.remedy = remedy


class OutOfFrames(HostError):
    """No page frame is left; the emulated kernel was interrupted where it stood."""


class ProcessDied(UemuError):
    """A real process is gone that a call still needed.

    Attributes:
        pid: its process id.
        how: "exited with status N", "was killed by SIGNAME", "lost its thread N".
    """

    def __init__(self, pid: int, how: str, during: str) -> None:
        freed = "" if how.startswith("lost its thread") else "; its page frames are freed"
        super().__init__(f"process {pid} {how} during {during}{freed}")
        self.pid = pid
        self.how = how


class InvariantError(UemuError):
    """A rule of the emulated kernel does not hold.

    Attributes:
        kind: the violation's name in ``uemu.oracle`` (``refcount-leak`` ...).
        message: the rest, which does not say the name again.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class Disagreement(UemuError):
    """Real processes did something else than the model says: a bug in uemu."""

"""The descriptors that uemu itself needs, more than the program that it runs may have."""

from __future__ import annotations

import contextlib
import resource
from types import TracebackType

Limit = tuple[int, int]
"""Soft and hard."""


class MoreFiles:
    """A span in which this process may open as many files as the hard limit allows.

    Attributes:
        before: the limit that was there, for who shall not notice.
    """

    def __init__(self) -> None:
        self.before: Limit = resource.getrlimit(resource.RLIMIT_NOFILE)

    def __enter__(self) -> MoreFiles:
        _, hard = self.before
        # Above what the system allows one process it is refused; then it stays.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return self

    def not_for(self, pid: int) -> None:
        """Let a process that inherited the limit have the one that was there before."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, self.before)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, self.before)

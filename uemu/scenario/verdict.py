"""What one run of a scenario showed."""

from __future__ import annotations

from dataclasses import dataclass

from uemu.oracle.violations import Violation


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one run.

    Attributes:
        violations: what the oracle found, in order.
        seen: (thread, bytes) for each Load, for each time a device read
            memory, in order; None for a Load that got SIGSEGV.
    """

    violations: tuple[Violation, ...]
    seen: tuple[tuple[str, bytes | None], ...]

    @property
    def kinds(self) -> frozenset[str]:
        """Which properties were violated."""
        return frozenset(violation.kind for violation in self.violations)

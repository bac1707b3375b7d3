"""The price of a machine: started, one process spawned, stopped."""

from __future__ import annotations

import uemu
from tests.bench.measure import Figure, median_ns

ROUNDS = 30


def measure() -> list[Figure]:
    """Measure a machine's life."""

    def live() -> None:
        with uemu.Machine(policy="linux-6.5") as machine:
            machine.spawn()

    return [
        Figure("a machine started and stopped", median_ns(live, ROUNDS) / 1e6, "ms", limit=50.0)
    ]

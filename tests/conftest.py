"""Fixtures for every test: what a test needs of this machine, it has or is skipped."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Final

import pytest

SIMULATED: Final = ("claims", "dma", "explore", "kernel", "matrix", "mm", "oracle", "policy",
                    "scenario")  # fmt: skip
"""Folders about what is the same whoever runs it, unless a test there needs real processes."""

NEEDS: Final = ("ptrace", "memfd", "kernel", "libdw")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as ``once`` what is simulated."""
    folders = {Path(__file__).parent / name for name in SIMULATED}
    for item in items:
        needs = any(item.get_closest_marker(f"needs_{need}") for need in NEEDS)
        if not needs and not folders.isdisjoint(item.path.parents):
            item.add_marker(pytest.mark.once)


@functools.cache
def _why_not(need: str, *args: str) -> str | None:
    from uemu.host import doctor

    why: str | None = getattr(doctor, f"probe_{need}")(*args)
    return why


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    """Skip a test whose ``needs_*`` marker this machine cannot meet; with force, fail it."""
    forced = os.environ.get("UEMU_FORCE", "") not in ("", "0") or request.config.getoption(
        "uemu_force", default=False
    )
    for need in NEEDS:
        for marker in request.node.iter_markers(f"needs_{need}"):
            why = _why_not(need, *marker.args)
            if why is not None and forced:
                pytest.fail(f"needs {need}: {why}", pytrace=False)
            if why is not None:
                pytest.skip(f"needs {need}: {why}")

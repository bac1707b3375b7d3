"""A machine for the tests of its parts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import uemu


@pytest.fixture
def machine() -> Iterator[uemu.Machine]:
    """A machine under the kernel whose COW asks the fewest questions; checked at the end."""
    with uemu.Machine(policy="linux-2.6.29") as machine:
        yield machine
        machine.check()

"""Errors reach whoever asked, also from another process: with their message and attributes."""

from __future__ import annotations

import errno
import pickle

import pytest

from uemu.errors import (
    Blocked,
    Disagreement,
    Fault,
    HostError,
    InvariantError,
    OutOfFrames,
    ProcessDied,
    UemuError,
)
from uemu.explore import ScheduleError

ERRORS = [
    UemuError("a message"),
    Fault(errno.EFAULT, 0x1000, "no mapping"),
    Blocked("fork", "mmap_sem"),
    HostError("tracing", "not permitted", "Ask."),
    OutOfFrames("a frame", "none is left", "Free some."),
    ProcessDied(12, "exited with status 0", "a store"),
    InvariantError("refcount-leak", "pfn 3"),
    Disagreement("a store of process 12 went to pfn 3, not 4"),
    ScheduleError(3, 1, "io, through", ("0 (fork)",)),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_can_be_pickled(error: UemuError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.__dict__) == (str(error), error.__dict__)
    with pytest.raises(type(error)):
        raise again

"""Completions posted to a ring from outside, and who has that ring."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys

import pytest

from uemu.host import uring
from uemu.live.program.uring_ring import Queue, Ring

pytestmark = pytest.mark.needs_kernel("io_uring")

PARAMS = 120


@pytest.fixture
def poster() -> uring.Poster:
    poster = uring.Poster()
    assert poster.open() == 0
    assert poster.open() == 0
    return poster


def new_ring(entries: int = 4) -> tuple[int, Ring]:
    """A ring of our own, and what uemu makes of what the kernel says of it."""
    import ctypes

    params = ctypes.create_string_buffer(PARAMS)
    fd = ctypes.CDLL(None, use_errno=True).syscall(425, entries, params)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    return fd, Ring.of(params.raw)


def test_a_completion_is_there_with_its_result(poster: uring.Poster) -> None:
    fd, ring = new_ring()
    queue = Queue(ring, fd)
    assert (queue.ready, queue.pending(4)) == (0, [])
    for count, result in enumerate((512, -errno.EIO), 1):
        assert poster.post(fd, 1 << 63 | count, result) == 0
        assert queue.ready == count
    cqes = queue._rings[64 : 64 + 32]
    assert struct.unpack("=QiIQiI", cqes) == (1 << 63 | 1, 512, 0, 1 << 63 | 2, -errno.EIO, 0)
    queue.close()
    os.close(fd)
    poster.close()


def test_what_is_no_ring_is_refused(poster: uring.Poster) -> None:
    assert poster.post(0, 1, 1) < 0
    poster.close()
    assert poster.post(0, 1, 1) == -errno.EBADF
    poster.close()


def test_a_ring_is_known_by_each_of_its_names() -> None:
    fd, _ = new_ring()
    other, _ = new_ring()
    again, me = os.dup(fd), os.getpid()
    assert all(map(uring.is_ring, (fd, again)))
    assert not uring.is_ring(0)
    assert uring.is_same_file(me, fd, me, again)
    assert not uring.is_same_file(me, fd, me, other)
    assert {fd, other, again} <= set(uring.rings_of(me))
    os.set_inheritable(again, True)
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
    )
    assert child.stdin is not None
    assert uring.is_same_file(me, fd, child.pid, again)
    child.communicate(b"\n")
    assert uring.rings_of(child.pid) == []
    assert not uring.is_same_file(me, fd, child.pid, again)
    for each in (fd, other, again):
        os.close(each)

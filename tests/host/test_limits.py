"""Limits of this process, raised for a while, and those of a child of it."""

from __future__ import annotations

import resource
import subprocess
import sys

from uemu.host.limits import MoreFiles

FILES = resource.RLIMIT_NOFILE


def test_more_files_may_be_open_for_a_while() -> None:
    before = resource.getrlimit(FILES)
    resource.setrlimit(FILES, (before[1] - 1, before[1]))
    try:
        with MoreFiles() as more:
            assert resource.getrlimit(FILES) == (before[1], before[1])
            assert more.before == (before[1] - 1, before[1])
        assert resource.getrlimit(FILES) == (before[1] - 1, before[1])
    finally:
        resource.setrlimit(FILES, before)


def test_a_child_has_what_was_there_before() -> None:
    with MoreFiles() as more:
        command = [sys.executable, "-c", "input()"]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
            more.not_for(child.pid)
            assert resource.prlimit(child.pid, FILES) == more.before
            child.communicate(b"\n")
            more.not_for(child.pid)

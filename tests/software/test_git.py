"""git: clone and gc of a local repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.software.installing import debian
from tests.software.running import native, traced

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

MAKE = """
git init -q made && cd made
for i in $(seq 40); do
  seq $((i * 50)) > file$((i % 7)); git add . ; git commit -qm "commit $i"
done
"""

CLONE = "git clone -q made {0} && cd {0} && git gc -q --aggressive --prune=now && git fsck"

TELL = "cd {0} && git log --format=%H && git count-objects -v && sha1sum .git/objects/pack/*.pack"


def test_clone_and_gc_give_the_same_objects(tmp_path: Path) -> None:
    debian("git", "git")
    when = "2009-03-11T18:37:48Z"
    env = {
        **os.environ,
        "HOME": str(tmp_path),
        **{
            f"GIT_{who}_{what}": "uemu"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
        **{f"GIT_{who}_DATE": when for who in ("AUTHOR", "COMMITTER")},
    }
    (tmp_path / ".gitconfig").write_text("[pack]\n\tthreads = 1\n")
    assert native(tmp_path, "bash", "-ec", MAKE, env=env).status == 0
    expected = native(tmp_path, "bash", "-c", CLONE.format("one"), env=env)
    gave, report = traced(tmp_path, "bash", "-c", CLONE.format("other"), env=env)
    assert gave == expected
    assert gave.status == 0
    told = [native(tmp_path, "bash", "-c", TELL.format(name), env=env) for name in ("one", "other")]
    assert told[0] == told[1]
    assert len(told[0].out.splitlines()) > 40
    assert report["violations"] == []

"""sqlite3's own shell: a database of 100 MB is the same, byte for byte."""

from __future__ import annotations

import filecmp
from pathlib import Path

import pytest

from tests.software.installing import debian
from tests.software.running import native, traced

pytestmark = [pytest.mark.needs_ptrace, pytest.mark.slow]

SQL = """
create table t(a integer primary key, b text, c blob);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 110000)
  insert into t select i, printf('%x', i * 7919), zeroblob(900) from n;
create index t_b on t(b);
select count(*), sum(length(b)), sum(length(c)) from t;
delete from t where a % 9 = 0;
pragma integrity_check;
select count(*), sum(a) from t where b > '8';
"""


def test_a_database_of_100_mb_is_the_same(tmp_path: Path) -> None:
    debian("sqlite3", "sqlite3")
    one, other = tmp_path / "native.db", tmp_path / "traced.db"
    expected = native(tmp_path, "sqlite3", str(one), text=SQL)
    gave, report = traced(tmp_path, "sqlite3", str(other), text=SQL)
    assert gave == expected
    assert gave.out.splitlines()[1] == "ok"
    assert other.stat().st_size > 100_000_000
    assert filecmp.cmp(one, other, shallow=False)
    assert report["violations"] == []

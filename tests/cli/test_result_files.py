"""``--json`` and ``--svg``: what is drawn on the terminal, in files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Uemu
from tests.report.svg_reader import SVG, root, texts, told

RUN = ("replay", "lost-read-no-child-write", "--policy", "linux-2.6.29", "uemu1:000111112222222200")
SOUND = ("explore", "gup-fast-vs-fork", "--policy", "arcangeli-2009-v2", "--jobs", "1")
RACY = ("explore", "lost-read-no-child-write", "--policy", "linux-2.6.29", "--jobs", "1")


def test_replay_draws_the_same_on_the_terminal_and_in_both_files(
    uemu: Uemu, tmp_path: Path
) -> None:
    data, picture = tmp_path / "run.json", tmp_path / "run.svg"
    done = uemu(*RUN, "--json", str(data), "--svg", str(picture))
    assert (done.status, done.err) == (1, "")
    assert done == uemu(*RUN)
    (drawing,) = json.loads(data.read_text())["drawings"]
    assert told(picture.read_text()) == [
        tuple(re.sub(r"\s", "", str(step[key])) for key in
              ("index", "cpu", "function", "note", "state"))
        for step in drawing["steps"]
    ]  # fmt: skip
    below = texts(picture.read_text(), "below")
    shown = "".join(done.out.split())
    assert len(below) == 3
    assert all(text in shown for text in below)
    assert root(picture.read_text()).findtext(f"{SVG}title") == drawing["title"]


def test_explore_draws_every_race_that_it_shows_in_one_picture(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "races.svg"
    for options in ((), ("--all",)):
        done = uemu(*RACY, *options, "--svg", str(path))
        assert done.status == 1
        shown = re.findall(r"^replay:  (.*)$", done.out, re.MULTILINE)
        assert len(shown) == 1 + len(options)
        assert [text for text in texts(path.read_text(), "below") if "replay" in text] == [
            "".join(f"replay:{command}".split()) for command in shown
        ]
        heads = done.out.splitlines()[:2]
        assert root(path.read_text()).findtext(f"{SVG}title") == heads[0]
        assert (root(path.read_text()).findtext(f"{SVG}desc") or "").splitlines()[:2] == heads


def test_where_nothing_is_found_the_picture_says_so(uemu: Uemu, tmp_path: Path) -> None:
    path = tmp_path / "races.svg"
    path.write_text("an older picture")
    done = uemu(*SOUND, "--svg", str(path))
    assert done.status == 0
    assert told(path.read_text()) == []
    assert (root(path.read_text()).findtext(f"{SVG}desc") or "").splitlines() == (
        done.out.splitlines()
    )


def test_without_the_options_nothing_is_written(
    uemu: Uemu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert uemu(*RUN).status == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [RUN, SOUND])
@pytest.mark.parametrize("option", ["--json", "--svg"])
def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    uemu: Uemu, command: tuple[str, ...], option: str
) -> None:
    done = uemu(*command, option, "/proc/none/x")
    assert (done.status, done.out) == (2, "")
    assert done.err == "uemu: error: cannot write /proc/none/x: No such file or directory\n"


@pytest.mark.parametrize("command", [RUN, SOUND])
def test_two_results_in_one_file_are_refused(
    uemu: Uemu, tmp_path: Path, command: tuple[str, ...]
) -> None:
    one, other = str(tmp_path / "x"), str(tmp_path / "." / "x")
    done = uemu(*command, "--json", one, "--svg", other)
    assert (done.status, done.out) == (2, "")
    assert "--json and --svg are one file" in done.err
    done = uemu(*command, "--json", "/dev/null", "--svg", "/dev/null")
    assert (done.status, done.err) == (int(command is RUN), "")


def test_a_disk_that_is_full_in_the_end_takes_no_output_away(uemu: Uemu) -> None:
    done = uemu(*SOUND, "--svg", "/dev/full")
    assert done.status == 2
    assert done.out.startswith("gup-fast-vs-fork under arcangeli-2009-v2: no violation\n")
    assert done.err == "uemu: error: cannot write /dev/full: No space left on device\n"

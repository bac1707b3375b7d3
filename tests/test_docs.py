"""The documentation is what the code does now: drawings replay, sources are complete.

A drawing stands in a docstring and begins with

    Race: SCENARIO SCHEDULE -> VERDICTS (REMARK)

In a policy's docstring it is about that policy, and REMARK, if there is one, is
the variant; in any other, REMARK is the policy. When a drawing is out of
date, the test that fails prints the one to put in its place. What begins like a
drawing, or has its heads, and is none that can be replayed is a fault, too.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.each import each
from uemu.explore import Schedule, ScheduleError, replay
from uemu.policy.registry import POLICIES
from uemu.report.drawing import draw
from uemu.scenario.registry import find_scenario
from uemu.scenario.world import SimulatedWorld

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "uemu"

RACE = re.compile(
    r"^Race: (?P<scenario>\S+) (?P<schedule>uemu\d+:\S*)\s+-> (?P<verdicts>[^()\n]*?)"
    r"(?: \((?P<remark>\S+)\))?\n\n(?:    .*(?:\n|\Z))+",
    re.MULTILINE,
)


TITLE = re.compile(r"""^[\s#>|*]*(?:[rRuU]?[\"']{1,3})?\s*Races?:""", re.MULTILINE)
"""What begins like a drawing, in a docstring, a comment or any other text."""

HEADS = re.compile(r"^\W*#  .*\bnote +state\s*$", re.MULTILINE)
"""The first line of its table."""


class Race(NamedTuple):
    """A drawing in a docstring."""

    where: str
    text: str
    scenario: str
    schedule: str
    policy: str


def policy_of(stem: str) -> str | None:
    """The policy that a module's name stands for."""
    names = {re.sub("[-.]", "_", name): name for name in POLICIES}
    return names.get(stem)


def races_in(path: Path, source: str) -> list[Race]:
    """The drawings in the docstrings of one file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        docstring = ast.get_docstring(node) or ""
        for match in RACE.finditer(docstring):
            own, remark = policy_of(path.stem), match["remark"]
            policy = remark or ""
            if own is not None:
                policy = f"{own}:{remark}" if remark else own
            text = match[0].rstrip("\n") + "\n"
            where = f"{path.parent.name}/{path.name}"
            found.append(Race(where, text, match["scenario"], match["schedule"], policy))
    return found


def drawn_now(race: Race) -> str:
    """The drawing of the same schedule today."""
    scenario = find_scenario(race.scenario)
    run = replay(lambda: SimulatedWorld(scenario, race.policy), Schedule.parse(race.schedule))
    own = policy_of(Path(race.where).stem)
    remark = race.policy.partition(":")[2] if own else race.policy
    return draw(race.scenario, run, remark=remark)


def race_fault(race: Race) -> str | None:
    """What is wrong with a drawing, if anything."""
    try:
        now = drawn_now(race)
    except (ScheduleError, ValueError) as error:
        return f"{race.where}: the schedule means nothing any more: {error}"
    if now == race.text:
        return None
    return f"{race.where}: not what a run looks like now, which is:\n\n{now}"


def stray_drawings(path: Path, source: str) -> str | None:
    """What looks like a drawing in one file and is not replayed, if anything."""
    found = len(races_in(path, source))
    looks = {"titles": len(TITLE.findall(source)), "heads": len(HEADS.findall(source))}
    if set(looks.values()) == {found}:
        return None
    return f"{path}: {found} drawings that can be replayed, but {looks}"


FILES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "demos").rglob("*.py")])
RACES = [race for path in FILES for race in races_in(path, path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("race", RACES, ids=lambda race: f"{race.where}-{race.schedule}")
def test_drawing_is_current(race: Race) -> None:
    fault = race_fault(race)
    assert fault is None, fault


@pytest.mark.parametrize(
    ("policy", "scenario"),
    [
        ("linux-2.6.29", "lost-read"),
        ("arcangeli-2009-v2:norecheck", "gup-fast-vs-fork"),
    ],
)
def test_the_races_of_2009_are_drawn_beside_their_policies(policy: str, scenario: str) -> None:
    assert (policy, scenario) in {(race.policy, race.scenario) for race in RACES}


@each("path", FILES)
def test_whatever_looks_like_a_drawing_is_replayed(path: Path) -> None:
    stray = stray_drawings(path, path.read_text(encoding="utf-8"))
    assert stray is None, stray


DRAWING = """Race: dontfork uemu1:0 -> no violation (linux-6.5)

    #  io   note  state
    -  ---  ----  -----
    0  dma        0: 1/1
"""


def file_with(drawing: str) -> str:
    """A module whose docstring has the drawing."""
    return f'"""A file.\n\n{drawing}"""'


@pytest.mark.parametrize(
    "source",
    [
        file_with("{}"),
        'def f():\n    """Do it.\n\n    {}"""',
        'async def f():\n    """Do it.\n\n    {}"""',
        'class C:\n    """A class.\n\n    {}"""',
    ],
)
def test_a_drawing_in_a_docstring_is_found(source: str) -> None:
    indent = "    " if "    " in source else ""
    source = source.format(DRAWING.replace("\n", "\n" + indent))
    (race,) = races_in(Path("x.py"), source)
    assert (race.scenario, race.schedule, race.policy) == ("dontfork", "uemu1:0", "linux-6.5")
    assert race.text == DRAWING
    assert stray_drawings(Path("x.py"), source) is None


@pytest.mark.parametrize(
    "source",
    [
        '"""{}"""',  # a table that begins no line of its own loses its indentation
        '"""A file."""\nX = 1\n"""What X is.\n\n{}"""',
        '"""A file."""\nX = """\n{}"""',
        file_with("    {}"),
        file_with(DRAWING.replace("Race:", "Races:")),
        file_with(DRAWING.replace("uemu1:", "")),
        file_with(DRAWING.replace("    ", "  ")),
        file_with(DRAWING.replace("\n\n", "\n")),
        file_with(DRAWING.split("\n\n")[0]),
        file_with(DRAWING.split("\n\n")[1]),
        "# " + DRAWING.replace("\n", "\n# "),
    ],
)
def test_what_would_not_be_replayed_is_noticed(source: str) -> None:
    source = source.format(DRAWING) if "{}" in source else source
    assert races_in(Path("x.py"), source) == []
    assert stray_drawings(Path("x.py"), source) is not None


def falsified(race: Race) -> list[Race]:
    """The drawing with one thing wrong, in several ways."""
    schedule = race.schedule
    swapped = schedule[:-1] + ("1" if schedule[-1] == "0" else "0")
    return [
        race._replace(text=race.text.replace("b'", "b'E", 1)),
        race._replace(text=race.text.replace("-> ", "-> torn-fork-copy, ", 1)),
        race._replace(text=race.text.replace("  0  ", "  7  ", 1)),
        race._replace(text="".join(race.text.splitlines(keepends=True)[:-1])),
        race._replace(text=race.text.replace(schedule, swapped), schedule=swapped),
        race._replace(text=race.text.replace(schedule, schedule[:-1]), schedule=schedule[:-1]),
        race._replace(schedule=schedule + "0"),
        race._replace(schedule=schedule + "!"),
        race._replace(policy="linux-6.5"),
        race._replace(policy="linux-0.0"),
        race._replace(scenario="dontfork"),
        race._replace(scenario="unheard-of"),
    ]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.where)
def test_a_falsified_drawing_is_noticed(race: Race) -> None:
    for false in falsified(race):
        assert false != race
        assert race_fault(false) is not None, false


# What a policy's docstring says


SECTION = re.compile(r"^(?P<name>[A-Z][a-z]+(?: [a-z]+)?):[ \n]", re.MULTILINE)
NEEDED = ("Holds", "Breaks", "Costs", "Source")
COMMIT = re.compile(r"[0-9a-f]{12}")


def sections(docstring: str) -> dict[str, str]:
    """The sections of a docstring: name to text, in one line."""
    marks = [*SECTION.finditer(docstring)]
    ends = [*(mark.start() for mark in marks[1:]), len(docstring)]
    return {
        mark["name"]: " ".join(docstring[mark.end() : end].split())
        for mark, end in zip(marks, ends, strict=True)
    }


def source_faults(docstring: str) -> list[str]:
    """What a policy's docstring lacks."""
    told = sections(docstring)
    faults = [f"has no {name}:" for name in NEEDED if not told.get(name)]
    source = re.sub(r"<[^<>]*>", "", told.get("Source", ""))
    for match in re.finditer(r"\bcommits? (\S+)", source):
        if not COMMIT.match(match[1]):
            faults.append(f"names a commit without its number: {match[0]!r}")
    for word in re.findall(r"\b[0-9a-f]{7,}\b", source):
        if not COMMIT.fullmatch(word):
            faults.append(f"commit {word} is not written with 12 digits")
    return faults


POLICY_FILES = [path for path in FILES if policy_of(path.stem) is not None]


@each("path", POLICY_FILES)
def test_policy_says_what_holds_what_breaks_what_it_costs_and_its_source(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert source_faults(docstring) == []


def test_every_policy_is_looked_at() -> None:
    assert len(POLICY_FILES) == len(POLICIES)


WHOLE = """Linux 9.9.

Holds:   something.
Breaks:  something
         else.
Costs:   nothing.
Source:  Linux v9.9, mm/memory.c. Since Linux kernel commits 09854ba94c6a
         ("mm: simplification") and a308c71bf1e6. Message-ID
         <abcdef0123456789@example.org>.
"""


def test_accepts_a_whole_docstring() -> None:
    assert source_faults(WHOLE) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Holds:   something.\n", "", "has no Holds:"),
        ("Costs:   nothing.", "Costs:", "has no Costs:"),
        ("Source:", "source:", "has no Source:"),
        ("09854ba94c6a", "09854ba", "commit 09854ba is not written with 12 digits"),
        ("a308c71bf1e6", "a308c71bf1e6a", "commit a308c71bf1e6a is not written with 12 digits"),
        ("commits 09854ba94c6a\n", "commit\n", "names a commit without its number"),
    ],
)
def test_rejects_a_docstring_that_lacks_something(old: str, new: str, fault: str) -> None:
    assert old in WHOLE
    assert any(found.startswith(fault) for found in source_faults(WHOLE.replace(old, new)))

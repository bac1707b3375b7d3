"""``uemu/FINDINGS.md`` is what the runs say.

What is fast to know is looked at here: whether each claim has its section, what
stands in it of the claim's own, and whether each drawing is that of its schedule.
That a section is the one of its verdict is in `test_verdicts`, which decides all
claims anyway. ``python -m tests.claims.test_findings`` decides all and writes
the document anew; with ids, those alone.
"""

from __future__ import annotations

import re
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from tests.each import each
from uemu.claims.claim import REFUTED
from uemu.claims.findings import STORIES, assemble, contents, findings, opening, section, story
from uemu.claims.registry import CLAIMS
from uemu.claims.survey import survey
from uemu.claims.where import Where
from uemu.explore import Schedule, replay
from uemu.report.drawing import draw

FINDINGS = Path(__file__).resolve().parents[2] / "uemu" / "FINDINGS.md"

REPLAY = re.compile(
    r"^\$ uemu replay (?P<scenario>\S+) --policy (?P<policy>\S+)(?P<switches>(?: --\S+(?: tso)?)*)"
    r" (?P<schedule>uemu1:\S+)\n(?P<drawing>(?:\nRace: (?:.*\n)*?)?)```$",
    re.MULTILINE,
)


def parts(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """The stories and the sections of a document, each by the id of its claim."""
    blocks = re.split(r"^(?=##)", text, flags=re.MULTILINE)
    told = [block.strip() for block in blocks]
    titles = {f"### {one.title}": id_ for id_, one in STORIES.items()}
    stories = {titles[head]: block for block in told if (head := block.split("\n")[0]) in titles}
    found = (re.match(r"### (C\d\d)\n", block) for block in told)
    sections = {match[1]: match.string for match in found if match}
    return stories, sections


def document() -> str:
    """What there is."""
    return FINDINGS.read_text(encoding="utf-8")


HOW = "`python -m tests.claims.test_findings {id}` writes it anew"


def test_every_claim_has_its_section_and_the_contents_lead_there() -> None:
    text = document()
    stories, sections = parts(text)
    missing = " ".join(sorted(CLAIMS.keys() - sections.keys()))
    assert not missing, HOW.format(id=missing)
    assert list(stories) == list(STORIES)
    expected = {id_: claim.expected for id_, claim in CLAIMS.items()}
    assert contents(expected) in text, HOW.format(id="C01")
    assert text == assemble(stories, expected, sections), HOW.format(id="C01")


@each("id_", CLAIMS)
def test_a_section_is_of_its_claim(id_: str) -> None:
    claim = CLAIMS[id_]
    _, sections = parts(document())
    told = sections.get(id_, "")
    assert told.startswith(opening(claim, claim.expected)), HOW.format(id=id_)
    unfolded = " ".join(told.split())
    assert all(f"*{one.name}*" in unfolded for one in claim.readings), HOW.format(id=id_)


def test_every_drawing_is_that_of_its_schedule() -> None:
    races = list(REPLAY.finditer(document()))
    assert len(races) == document().count("$ uemu replay")
    for race in races:
        ipi_wait = "--no-ipi-wait" not in race["switches"]
        model = "tso" if "tso" in race["switches"] else "sc"
        where = Where(race["scenario"], race["policy"], ipi_wait, model)
        assert race[0].startswith(f"$ {where.replay_command(race['schedule'])}\n")
        run = replay(where, Schedule.parse(race["schedule"]))
        assert str(run.schedule) == race["schedule"]
        if race["drawing"]:
            remark = str(where).partition(" under ")[2]
            assert race["drawing"].strip() == draw(where.scenario, run, remark=remark).strip()


def test_nothing_is_wider_than_100_columns_but_commands_and_links() -> None:
    for line in document().splitlines():
        assert len(line) <= 100 or line.startswith("$ ")


def test_the_stories_are_told_and_drawn() -> None:
    stories, _ = parts(document())
    for id_, told in stories.items():
        assert STORIES[id_].text in " ".join(told.split()), HOW.format(id=id_)
        assert "\nRace: " in told


@each("id_", ["C01", "C28"])
def test_what_is_out_of_date_is_noticed(id_: str) -> None:
    """Another word in a claim, another order in its count."""
    claim = CLAIMS[id_]
    _, sections = parts(document())
    reworded = replace(claim, because=f"{claim.because}, or not")
    assert not sections[id_].startswith(opening(reworded, claim.expected))
    assert not sections[id_].startswith(opening(claim, REFUTED))


def test_a_document_on_a_few_has_no_stories_of_others() -> None:
    verdicts = survey([CLAIMS["C01"], CLAIMS["C45"], CLAIMS["C17"]])
    stories, sections = parts(findings(verdicts))
    assert list(stories) == ["C17"]
    assert list(sections) == ["C01", "C17", "C45"]
    assert sections["C45"] == section(verdicts[1])


def rewrite(ids: list[str]) -> None:
    """Decide claims, all or those alone, and write their parts anew."""
    wanted = [CLAIMS[id_] for id_ in ids or CLAIMS]
    with ProcessPoolExecutor() as pool:
        verdicts = survey(wanted, executor=pool)
    if not ids:
        FINDINGS.write_text(findings(verdicts), encoding="utf-8")
        return
    stories, sections = parts(document())
    stories |= {one.claim.id: story(one) for one in verdicts if one.claim.id in STORIES}
    sections |= {one.claim.id: section(one) for one in verdicts}
    words = {id_: claim.expected for id_, claim in CLAIMS.items()}
    FINDINGS.write_text(assemble(stories, words, sections), encoding="utf-8")


if __name__ == "__main__":
    rewrite(sys.argv[1:])

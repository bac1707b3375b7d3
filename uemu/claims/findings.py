"""The verdicts as a document for people: ``FINDINGS.md``, beside this package.

It has parts, each made from verdicts alone: the stories at the top, the contents,
and a section for each claim. What is in one part does not depend on the others,
so each can be compared with the run that decides it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from uemu.claims.claim import CONFIRMED, REFUTED, UNDECIDABLE, Claim, Verdict
from uemu.claims.measure import FIGURES
from uemu.claims.question import Answer
from uemu.claims.registry import CLAIMS
from uemu.claims.watches import WATCHES
from uemu.explore import Schedule, replay
from uemu.report.drawing import draw

WIDTH: Final = 100

SHORT: Final = 24
"""A run of at most so many steps is drawn in the section of its claim."""

WORDS: Final = {CONFIRMED: "Confirmed", REFUTED: "Refuted", UNDECIDABLE: "Undecidable as worded"}

TITLE: Final = "# Findings"

INTRO: Final = (
    "What was claimed about fork, COW and get_user_pages on the kernel's lists, and what a machine"
    " says of it. Each claim is put to a model checker: a scenario (who does what), a policy (the"
    " rules of one kernel or of one proposed patch), and every order in which their steps can be"
    " taken, a step being one atomic or one hold of a spinlock. What exists is shown by one order,"
    " which the command below the claim runs again; what does not exist was looked for in all of"
    " them, or the text says that they are not all. Documents: 000 J. Gunthorpe's mail of 2021 on"
    " PageAnonExclusive, 001 D. Hildenbrand's cover letter of 2022, 002 the thread of 2021 on"
    " page_maybe_dma_pinned(), 003 the thread of March 2009, 004 KOSAKI's mail of April 2009.",
    "A claim may have several readings; the first is what its author meant, and decides. Where"
    " they come out differently and the words do not say which one is meant, nothing is decided."
    " ✓ marks what came out as the reading has it, ✗ what did not."
    " *A TLB flush waits* means: for a gup-fast that runs with interrupts off, as a flush by IPI"
    " does on x86. States in drawings: the frame that the parent maps at the buffer, then"
    " count/mapcount of pfn 0, 1, ...",
)


class Story(NamedTuple):
    """What stands at the top, with the drawing of a claim's run.

    Attributes:
        title: its heading.
        text: what was said, what was asked, what came.
    """

    title: str
    text: str


FOUND: Final = (
    "Three objections that took a reader who knew the kernel. The policies have the rule that was"
    " proposed and nothing of the objection, the scenarios say who acts; the order of the steps is"
    " the explorer's."
)

STORIES: Final = {
    "C17": Story(
        "Arcangeli's swap objection, 2009-03-17 12:19",
        "At 00:44 Torvalds had do_wp_page ask page_count, so that a page under I/O is never"
        " reused. The policy below has that rule, and the swap cache of 2.6.29; of Arcangeli's"
        " answer it has nothing. Reclaim unmaps the page while a device writes it, a load maps it"
        " again, read-only, and the store that comes next finds the device's reference, and copies:"
        ' "part of the read operation will get lost". Torvalds, 16:43: "Good catch."',
    ),
    "C26": Story(
        "KOSAKI's double check, 2009-04-19",
        "His patch leaves alone what is held: reclaim compares page_count with the mapcount, clears"
        " the entry, and compares once more. This is the variant that compares once. gup-fast,"
        " which has read the entry, takes the page after that look, while the flush still waits"
        " for it; later the store copies what a device writes. With the second look no order"
        " shows it.",
    ),
    "C28": Story(
        "Kara's race, 2021",
        "Torvalds and Hubbard would have gup-fast give up on a page that is locked once it has"
        " pinned it, because reclaim works under the page lock. Kara: that does not guarantee that"
        " the page is not unmapped. It does not: reclaim has looked for pins and found none when"
        " gup-fast pins the page and sees the entry as it was; reclaim unmaps the page, finds it"
        " held, and unlocks it; then gup-fast looks at the lock. With Kara's look, inside the rmap"
        " walk with the seqcount raised, no order shows it.",
    ),
}
"""What is told at the top, by the claim that it decides."""


def findings(verdicts: Sequence[Verdict]) -> str:
    """The document on these claims."""
    return assemble(
        {each.claim.id: story(each) for each in verdicts if each.claim.id in STORIES},
        {each.claim.id: each.verdict for each in verdicts},
        {each.claim.id: section(each) for each in verdicts},
    )


def assemble(
    stories: Mapping[str, str], verdicts: Mapping[str, str], sections: Mapping[str, str]
) -> str:
    """The document from its parts, each by the claim's id."""
    parts = [TITLE, *(_fold(text) for text in INTRO)]
    if stories:
        parts += ["## Seen by thinking, found by a machine", _fold(FOUND)]
        parts += [stories[id_] for id_ in STORIES if id_ in stories]
    parts += [contents(verdicts), "## The claims", *(sections[id_] for id_ in sorted(sections))]
    return "\n\n".join(parts) + "\n"


def contents(verdicts: Mapping[str, str]) -> str:
    """The claims by verdict."""
    parts = ["## Contents"]
    for verdict, word in WORDS.items():
        ids = [id_ for id_ in sorted(verdicts) if verdicts[id_] == verdict]
        if ids:
            lines = [_item(f"[{id_}](#{id_.lower()}) {_said(CLAIMS[id_])}") for id_ in ids]
            parts += [f"### {word}: {len(ids)}", "\n".join(lines)]
    return "\n\n".join(parts)


def _said(claim: Claim) -> str:
    return f"{claim.text} ({claim.sources[0]})"


def story(verdict: Verdict) -> str:
    """One part of the top: what was seen, and the run that shows it."""
    told = STORIES[verdict.claim.id]
    parts = [f"### {told.title}", _fold(told.text), _fold(_orders(verdict))]
    return "\n\n".join([*parts, _race(verdict.evidence)])


def _orders(verdict: Verdict) -> str:
    """In how many orders it was found, and in how many what closes it was tried."""
    shown = verdict.evidence
    text = f"Found by itself in {_count(shown)}"
    closed = [each for each in verdict.answers[0] if each.schedule is None]
    if closed:
        text += "; " + "; ".join(each.text for each in closed)
    return f"{text}. Claim {verdict.claim.id}."


def opening(claim: Claim, verdict: str) -> str:
    """How the section of a claim begins: who said what, and whether it is so."""
    said = [_item(f"{source}, document {source.document}"
                  + (f", `<{source.message_id}>`" if source.message_id else ""))
            for source in claim.sources]  # fmt: skip
    return "\n\n".join(
        [
            f"### {claim.id}",
            _fold(f"> {claim.text}", "> "),
            "\n".join(said),
            _fold(f"**{WORDS[verdict]}:** {claim.because}."),
        ]
    )


def section(verdict: Verdict) -> str:
    """Everything about one claim."""
    claim = verdict.claim
    lines = []
    for each, held, answers in zip(claim.readings, verdict.held, verdict.answers, strict=True):
        lines.append(_item(f"{'holds' if held else 'fails'}: *{each.name}*"))
        lines += [_item(_found(answer), "  ") for answer in answers]
    parts = [opening(claim, verdict.verdict), "\n".join(lines)]
    asked = {kind for answers in verdict.answers for each in answers for kind in each.asked}
    for watch in WATCHES.values():
        parts += [_fold(f"`{kind}`: {text}.") for kind, text in watch.names.items()
                  if kind in asked]  # fmt: skip
    if claim.id in STORIES:
        parts.append("Drawn at the top.")
    elif verdict.evidence.schedule is not None:
        parts.append(_race(verdict.evidence, at_most=SHORT))
    return "\n\n".join(parts)


def _found(answer: Answer) -> str:
    text = f"{'✓' if answer.holds else '✗'} {answer.text}"
    if answer.schedule is None or FIGURES.keys() & set(answer.asked):
        return text
    return f"{text}, found in {_count(answer)}"


def _count(answer: Answer) -> str:
    return "the first order" if answer.schedules == 1 else f"{answer.schedules} orders"


def _race(answer: Answer, at_most: int | None = None) -> str:
    """The command that runs it again, and the drawing, if it is no longer than that."""
    where, schedule = replace(answer.where, watch="", past=""), answer.schedule
    assert schedule is not None
    lines = [f"$ {where.replay_command(schedule)}"]
    run = replay(where, Schedule.parse(schedule))
    if at_most is None or len(run.records) <= at_most:
        drawing = draw(where.scenario, run, remark=str(where).partition(" under ")[2])
        lines += ["", drawing.rstrip()]
    return "\n".join(["```text", *lines, "```"])


def _fold(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def _item(text: str, indent: str = "") -> str:
    return _fold(f"{indent}- {text}", f"{indent}  ")

"""A claim, its readings, and the verdict that the answers give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from uemu.claims.question import Answer, Question, Swap
from uemu.claims.source import Source

CONFIRMED, REFUTED, UNDECIDABLE = "confirmed", "refuted", "undecidable"

Answers = Mapping[Question, Answer]


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to understand a claim.

    Attributes:
        name: what it takes the words to mean.
        questions: it holds if each is answered as claimed.
    """

    name: str
    questions: tuple[Question, ...]

    def holds(self, answers: Answers) -> bool:
        """Whether every answer is the claimed one."""
        return all(answers[question].holds for question in self.questions)

    def deciding(self, answers: Answers) -> list[Answer]:
        """What makes it hold: every answer; or fail: those that are not as claimed."""
        given = [answers[question] for question in self.questions]
        return [each for each in given if not each.holds] or given


def reading(name: str, *questions: Question) -> Reading:
    """A reading with its questions."""
    return Reading(name, questions)


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody said.

    Attributes:
        id: ``C05``.
        text: the claim in a line.
        sources: where it stands.
        readings: how it can be understood; the first is what its author meant,
            unless the words leave it ``open``.
        expected: the verdict that was expected before anything was run.
        because: why.
        open: whether the words do not say which of the readings is meant.
    """

    id: str
    text: str
    sources: tuple[Source, ...]
    readings: tuple[Reading, ...]
    expected: str
    because: str
    open: bool = False

    @property
    def questions(self) -> list[Question]:
        """All that it takes to decide it."""
        return [question for each in self.readings for question in each.questions]

    def instead(self, other: Swap) -> Claim:
        """The claim about another policy or scenario: a negative control."""
        readings = tuple(
            replace(each, questions=tuple(q.instead(other) for q in each.questions))
            for each in self.readings
        )
        return replace(self, readings=readings)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the answers say of a claim.

    Attributes:
        verdict: confirmed, refuted or undecidable.
        reading: the reading that decides, and how others come out.
        why: what was found.
        evidence: the answer to show: one with a run, if there is one.
        schedules: orders that ran for the deciding reading.
        exhaustive: whether all that was not found was looked for in every order.
        held: for each reading whether it holds.
    """

    claim: Claim
    verdict: str
    reading: str
    why: str
    evidence: Answer
    schedules: int
    exhaustive: bool
    held: tuple[bool, ...]
    answers: tuple[tuple[Answer, ...], ...] = field(repr=False)

    @property
    def is_expected(self) -> bool:
        """Whether it is what was expected."""
        return self.verdict == self.claim.expected

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        claim, evidence = self.claim, self.evidence
        return {
            "id": claim.id,
            "claim": claim.text,
            "verdict": self.verdict,
            "reading": self.reading,
            "why": self.why,
            "scenario": evidence.where.scenario,
            "policy": evidence.where.policy,
            "schedule": evidence.schedule,
            "schedules": self.schedules,
            "exhaustive": self.exhaustive,
            "expected": claim.expected,
            "because": claim.because,
            "sources": [source.as_json() for source in claim.sources],
            "readings": [
                {
                    "reading": each.name,
                    "holds": held,
                    "evidence": [answer.as_json() for answer in answers],
                }
                for each, held, answers in zip(claim.readings, self.held, self.answers, strict=True)
            ],
        }


def decide(claim: Claim, answers: Answers) -> Verdict:
    """The verdict on a claim.

    If its readings agree, it is theirs. If they do not, it is that of the one its
    author meant; where the words leave that open, nothing can be decided.
    """
    held = tuple(each.holds(answers) for each in claim.readings)
    agree = len(set(held)) == 1
    if claim.open and not agree:
        verdict = UNDECIDABLE
        told = [found for each in claim.readings for found in each.deciding(answers)]
    else:
        verdict = CONFIRMED if held[0] else REFUTED
        told = claim.readings[0].deciding(answers)
    shown = [answer for answer in told if answer.schedule is not None]
    absent = [answer for answer in told if answer.schedule is None]
    return Verdict(
        claim,
        verdict,
        _reading(claim, held),
        "; ".join(answer.text for answer in told),
        (shown or told)[0],
        sum(answer.schedules for answer in told),
        bool(absent) and all(answer.exhaustive for answer in absent),
        held,
        tuple(tuple(answers[q] for q in each.questions) for each in claim.readings),
    )


def _reading(claim: Claim, held: tuple[bool, ...]) -> str:
    """Which readings hold and which do not, in a line."""
    if len(held) == 1:
        return claim.readings[0].name
    said = []
    for verb, wanted in (("holds", True), ("fails", False)):
        names = [each.name for each, is_so in zip(claim.readings, held, strict=True)
                 if is_so is wanted]  # fmt: skip
        if names:
            said.append(f"{verb}: {' / '.join(names)}")
    return "; ".join(said)

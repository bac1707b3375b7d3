"""Asks what many claims ask, each question once, in this process or in several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, as_completed

from uemu.claims.claim import Claim, Verdict, decide
from uemu.claims.question import Answer, Question

Progress = Callable[[int, int, str], None]
"""Told how many questions of how many are answered, and what the last one found."""


def ask(question: Question) -> Answer:
    """Answer one question."""
    return question.ask()


def survey(
    claims: Sequence[Claim],
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> list[Verdict]:
    """Decide claims, in their order.

    Args:
        executor: who asks; None is this process alone.
        progress: called after each answer.
    """
    questions = list(dict.fromkeys(question for claim in claims for question in claim.questions))
    answers: dict[Question, Answer] = {}
    for question, answer in _answered(questions, executor):
        answers[question] = answer
        if progress is not None:
            progress(len(answers), len(questions), answer.text)
    return [decide(claim, answers) for claim in claims]


def _answered(
    questions: Sequence[Question], executor: Executor | None
) -> Iterator[tuple[Question, Answer]]:
    if executor is None:
        for question in questions:
            yield question, ask(question)
        return
    futures = {executor.submit(ask, question): question for question in questions}
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        for future in futures:
            future.cancel()

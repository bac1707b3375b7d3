"""What a program did under a policy: lines for its stderr, an object for programs.

Each line begins with ``uemu: ``, so that it can be told from what the program
itself writes there.
"""

from __future__ import annotations

import signal
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from uemu.live.program.result import RunResult, Stats
from uemu.oracle.violations import Violation
from uemu.report.advice_lines import advice_json, advice_lines
from uemu.report.folding import fold, fold_text
from uemu.report.story import told, verdict_text
from uemu.report.width import report_width

PREFIX = "uemu: "

NOT_DETERMINISTIC = (
    "The devices keep to their schedule when it is run again, but the threads of a real program"
    " are not deterministic: it may take another order. --repeat N runs it N times."
)


def prefixed(*lines: str) -> list[str]:
    """Lines as they stand among those of the program; they are wide enough already."""
    return [(PREFIX + line).rstrip() for line in lines]


def wrapped(text: str) -> list[str]:
    """A sentence in as many lines as it takes, prefixed."""
    width = report_width() - len(PREFIX)
    lines = textwrap.wrap(
        text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return prefixed(*lines)


def run_lines(result: RunResult, policy: str, *, replay: str) -> list[str]:
    """The report of one run: its end, its violations, what it covered, the way back.

    Notes are no part of it: they were said when it was time.

    Args:
        replay: the command that runs it again.
    """
    lines = end_lines(result)
    if not result.violations:
        lines += prefixed(f"{verdict_text(())} under {policy}")
        return lines + coverage_lines(result.stats) + suppressed_lines(result.suppressed)
    lines += violation_lines(result.violations)
    lines += coverage_lines(result.stats, is_clean=False)
    lines += suppressed_lines(result.suppressed)
    return lines + replay_lines(result.violations, policy, replay)


def suppressed_lines(counts: Mapping[str, int]) -> list[str]:
    """How many violations are not told, if any."""
    if not counts:
        return []
    names = ", ".join(f"{counts[name]} by '{name}'" for name in sorted(counts))
    return wrapped(f"{sum(counts.values())} suppressed: {names}")


def end_lines(result: RunResult) -> list[str]:
    """That a signal ended it: its exit status alone leaves that open."""
    if result.signal is None:
        return []
    return prefixed(f"the program was ended by {signal_name(result.signal)}")


def violation_lines(violations: Iterable[Violation]) -> list[str]:
    """The violations with their stories, an empty line after each."""
    lines = []
    width = report_width() - len(PREFIX)
    for each in fold(violations):
        heads, story = told(each.shown, width=width)
        lines += prefixed(*heads, *story, *advice_lines(each.shown, width))
        if each.others:
            lines += wrapped(f"  {fold_text(each)}")
        lines += prefixed("")
    return lines


def coverage_lines(stats: Stats, *, is_clean: bool = True) -> list[str]:
    """How much was tried, and if that was nothing, that it was nothing."""
    noun = "transfer" if stats.transfers == 1 else "transfers"
    lines = prefixed(
        f"{stats.transfers} {noun}, {stats.transfers_over_fork} overlapped a fork,"
        f" {stats.transfers_written_after} saw a later write to their pages"
    )
    if is_clean and not stats.transfers:
        lines += prefixed("nothing was tested: there was no direct I/O")
    elif is_clean and not stats.transfers_over_fork:
        lines += prefixed("nothing was tested: no fork met a transfer")
    return lines


def replay_lines(violations: Iterable[Violation], policy: str, replay: str) -> list[str]:
    """What was violated, the command that runs it again, and before it what that is worth."""
    kinds = {violation.kind for violation in violations}
    return [
        *wrapped(f"{verdict_text(kinds)} under {policy}"),
        *wrapped(NOT_DETERMINISTIC),
        *prefixed(f"replay:  {replay}"),
    ]


def exit_status(result: RunResult) -> int:
    """The program's exit status as a shell has it: 128 and the signal, where one ended it."""
    if result.status is not None:
        return result.status
    assert result.signal is not None, "a run ends by exit or by a signal"
    return 128 + result.signal


def signal_name(number: int) -> str:
    """SIGSEGV for 11, and a number for those without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def signal_text(status: int) -> str:
    """An exit status as a shell has it, with the name of the signal it may stand for."""
    return f"{status} ({signal_name(status - 128)})" if 128 < status < 128 + 65 else str(status)


# For programs


def run_json(result: RunResult, policy: str, argv: Sequence[str]) -> dict[str, Any]:
    """The result of a run as one object; addresses are integers."""
    if result.status is not None:
        end = {"status": result.status}
    else:
        end = {"signal": exit_status(result) - 128}
    return {
        **_head(policy, argv),
        "exit": end,
        "violations": violations_json(result),
        "groups": groups_json(result.violations),
        "suppressed": dict(result.suppressed),
        "stats": asdict(result.stats),
        "notes": list(result.notes),
    }


def failure_json(error: str, policy: str, argv: Sequence[str]) -> dict[str, Any]:
    """The object of a run that uemu could not make."""
    return {**_head(policy, argv), "exit": None, "error": error}


def _head(policy: str, argv: Sequence[str]) -> dict[str, Any]:
    return {"uemu": 1, "command": "run", "policy": policy, "program": list(argv)}


def violations_json(result: RunResult) -> list[dict[str, Any]]:
    """What a run violated, each with its story."""
    return [_violation(each, result) for each in result.violations]


def groups_json(violations: Sequence[Violation]) -> list[dict[str, Any]]:
    """What is told once and counted: for each, the indices of its violations."""
    at = {id(violation): index for index, violation in enumerate(violations)}
    return [
        {
            "kinds": [violation.kind for violation in each.shown],
            "count": each.count,
            "violations": [at[id(one)] for group in (each.shown, *each.others) for one in group],
        }
        for each in fold(violations)
    ]


def _violation(violation: Violation, result: RunResult) -> dict[str, Any]:
    story = violation.story
    return {
        "kind": violation.kind,
        "address": violation.address,
        "length": violation.length,
        "pid": violation.pid,
        "tid": result.tids.get(story[0].cpu) if story else None,
        "pfn": violation.pfn,
        "message": violation.message,
        "story": [
            {
                "event": line.event,
                "pid": None if line.mm is None else result.pids.get(line.mm),
                "tid": result.tids.get(line.cpu),
                "address": line.address,
                "text": line.text,
                "stack": [asdict(frame) for frame in line.stack],
            }
            for line in story
        ],
        **advice_json(violation),
    }

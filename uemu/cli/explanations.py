"""What can be explained: policies, violations, scenarios, claims; for people and for programs.

What shows what is no table: the cells are run first.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from uemu.claims.registry import CLAIMS
from uemu.cli.parser import UsageError
from uemu.matrix.cells import CellName
from uemu.matrix.result import Cell, ordered
from uemu.oracle.remedies import ADVICE
from uemu.oracle.violations import KINDS
from uemu.policy.registry import POLICIES, all_names, make_policy
from uemu.report.costs_table import costs_lines
from uemu.report.docstring import Told, read_docstring
from uemu.report.explanation import Explanation, grouped, remedy_texts
from uemu.report.story import verdict_text
from uemu.scenario.registry import SCENARIOS
from uemu.scenario.script import Scenario

NOWHERE = "no scenario, in its canonical order; in other orders: see uemu matrix --explore"


@dataclass(frozen=True, slots=True)
class Explained:
    """Something that was explained, for people and for programs."""

    told: Explanation
    json: dict[str, Any]


def what_is(name: str) -> str:
    """What a name stands for: ``policy``, ``violation``, ``scenario`` or ``claim``.

    Raises:
        UsageError: nothing; the message names the nearest known ones.
    """
    known = {
        **dict.fromkeys(all_names(), "policy"),
        **dict.fromkeys(KINDS, "violation"),
        **dict.fromkeys(SCENARIOS, "scenario"),
        **dict.fromkeys(CLAIMS, "claim"),
    }
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    nearest = ", ".join(near) or "see uemu policies, uemu scenarios, uemu claims"
    raise UsageError(
        f"no policy, violation, scenario or claim is called {name!r}; nearest: {nearest}"
    )


def cells_of(name: str) -> list[CellName]:
    """The cells that have to be run before something can be explained."""
    what = what_is(name)
    if what == "claim":
        return []
    policies = [name] if what == "policy" else list(POLICIES)
    scenarios = [name] if what == "scenario" else list(SCENARIOS)
    return [CellName(policy, scenario) for scenario in scenarios for policy in policies]


def explain(name: str, cells: Sequence[Cell]) -> Explained:
    """Say everything about something, once its cells were run."""
    about = {
        "policy": _policy,
        "violation": _violation,
        "scenario": _scenario,
        "claim": _claim,
    }[what_is(name)]
    return about(name, cells)


# A policy -----------------------------------------------------------------------------------


def _policy(name: str, cells: Sequence[Cell]) -> Explained:
    hooks = make_policy(name)
    module = sys.modules[type(hooks).__module__]
    told = read_docstring(module.__doc__)
    shown = {cell.name.scenario: cell.canonical for cell in cells}
    kinds = ordered(frozenset[str]().union(*shown.values()))
    variants = [f"{hooks.name}:{each}: {what}" for each, what in hooks.variants.items()]
    remedies = [
        f"{kind}: {', '.join(remedy.name for remedy in ADVICE[kind].remedies)}" for kind in kinds
    ]
    title = f"{name} ({hooks.year}): {hooks.summary}"
    explanation = Explanation(
        title,
        told.about,
        {
            **{part: [text] for part, text in told.parts.items()},
            "Also as": variants,
            "File": [_path(module.__file__)],
            "Violated": grouped(shown) or [NOWHERE],
            "Remedies": [*remedies, "More of each: uemu explain VIOLATION"] if kinds else [],
        },
        drawing=told.drawing,
    )
    return Explained(
        explanation,
        {
            "what": "policy",
            "name": name,
            "year": hooks.year,
            "summary": hooks.summary,
            "variants": dict(hooks.variants),
            **_told_json(told),
            "file": _path(module.__file__),
            "shown": [_shown_json(cell) for cell in cells],
            "remedies": {kind: _remedies_json(kind) for kind in kinds},
        },
    )


# A violation --------------------------------------------------------------------------------


def _violation(kind: str, cells: Sequence[Cell]) -> Explained:
    advice = ADVICE[kind]
    having: dict[str, list[str]] = {}
    for cell in cells:
        if kind in cell.canonical:
            having.setdefault(cell.name.scenario, []).append(cell.name.policy)
    safe = [name for name in POLICIES if all(name not in each for each in having.values())]
    explanation = Explanation(
        kind,
        parts={
            "Meaning": [f"{KINDS[kind]}."],
            "Who": [advice.who],
            "Remedies": remedy_texts(advice.remedies),
            "Shown in": [f"{name}: {', '.join(each)}" for name, each in having.items()]
            or [NOWHERE],
            "Nowhere under": [", ".join(safe)] if having and safe else [],
        },
    )
    return Explained(
        explanation,
        {
            "what": "violation",
            "name": kind,
            "meaning": KINDS[kind],
            "who": advice.who,
            "remedies": _remedies_json(kind),
            "shown": [{"scenario": name, "policies": each} for name, each in having.items()],
        },
    )


# A scenario ---------------------------------------------------------------------------------


def _scenario(name: str, cells: Sequence[Cell]) -> Explained:
    scenario = SCENARIOS[name]
    module = sys.modules[_module_of(scenario)]
    told = read_docstring(module.__doc__)
    ran = [cell for cell in cells if cell.reason is None]
    why = _by_reason(
        (cell.name.policy, f"{verdict_text(cell.canonical)}; {cell.expected.reason}")
        for cell in ran
        if cell.canonical
    )
    sound = [cell.name.policy for cell in ran if not cell.canonical]
    cannot = _by_reason((cell.name.policy, cell.reason) for cell in cells if cell.reason)
    explanation = Explanation(
        f"{name}: {scenario.summary}",
        told.about,
        {
            **{part: [text] for part, text in told.parts.items()},
            "Turns": [scenario.order],
            "File": [_path(module.__file__)],
            "Not live": [scenario.not_live] if scenario.not_live else [],
            "Violated": why or ["nothing, under any policy, in these turns"],
            "Sound": [", ".join(sound)] if why and sound else [],
            "Cannot be": cannot,
        },
        _costs(cells),
        told.drawing,
    )
    return Explained(
        explanation,
        {
            "what": "scenario",
            "name": name,
            "summary": scenario.summary,
            **_told_json(told),
            "order": scenario.order,
            "file": _path(module.__file__),
            "not_live": scenario.not_live,
            "shown": [_shown_json(cell) for cell in cells],
        },
    )


def _costs(cells: Sequence[Cell]) -> list[str]:
    """What it costs, and what each page more does."""
    ran = [cell for cell in cells if cell.costs]
    lines = costs_lines({cell.name.policy: cell.costs.as_json() for cell in ran if cell.costs})
    grown = {cell.name.policy: cell.growth.per_page() for cell in ran if cell.growth}
    return [*lines, "", *costs_lines(grown, "By the page")] if grown else lines


def _by_reason(told: Iterable[tuple[str, str]]) -> list[str]:
    """Policies and reasons as texts; those of one reason in one."""
    reasons: dict[str, list[str]] = {}
    for policy, reason in told:
        reasons.setdefault(reason, []).append(policy)
    return [f"{', '.join(policies)}: {reason}" for reason, policies in reasons.items()]


def _module_of(scenario: Scenario) -> str:
    """Where a scenario is written down: `tests/test_names.py` sees to the name."""
    return f"uemu.scenario.{scenario.name.replace('-', '_')}"


# A claim ------------------------------------------------------------------------------------


def _claim(name: str, cells: Sequence[Cell]) -> Explained:
    """What was said. Deciding it takes a search: that is another command's."""
    claim = CLAIMS[name]
    command = f"uemu claims {name}"
    explanation = Explanation(
        f"{name}: {claim.text}",
        parts={
            "Source": [each.cited for each in claim.sources],
            "Readings": [each.name for each in claim.readings],
            "Expected": [f"{claim.expected}: {claim.because}"],
            "Decided by": [command],
        },
    )
    return Explained(
        explanation,
        {
            "what": "claim",
            "name": name,
            "claim": claim.text,
            "sources": [each.as_json() for each in claim.sources],
            "readings": [each.name for each in claim.readings],
            "expected": claim.expected,
            "because": claim.because,
            "decided_by": command,
        },
    )


# Shared -------------------------------------------------------------------------------------


def _told_json(told: Told) -> dict[str, Any]:
    return {
        "about": list(told.about),
        "parts": {part.lower().replace(" ", "_"): text for part, text in told.parts.items()},
        "drawing": told.drawing or None,
    }


def _shown_json(cell: Cell) -> dict[str, Any]:
    return {
        "policy": cell.name.policy,
        "scenario": cell.name.scenario,
        "verdicts": ordered(cell.canonical),
        "reason": cell.reason or cell.expected.reason,
        "costs": cell.costs_json(),
    }


def _remedies_json(kind: str) -> list[dict[str, str | None]]:
    return [
        {
            "name": each.name,
            "text": each.text,
            "source": each.source,
            "scenario": each.scenario or None,
        }
        for each in ADVICE[kind].remedies
    ]


def _path(file: str | None) -> str:
    """A file as somebody who stands here would type it."""
    path = os.path.abspath(file or "")
    here = os.path.join(os.getcwd(), "")
    return path.removeprefix(here)

"""What stands below a story: whose memory the buffer is, what lies beside it, what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from uemu.oracle.fitting import Fit, fitting
from uemu.oracle.held import HeldBuffer
from uemu.oracle.places import frame_text, own_frame
from uemu.oracle.violations import Violation


def advice_lines(violations: Sequence[Violation], width: int) -> list[str]:
    """The advice on violations that share a story, in lines."""
    held = next((each.buffer for each in violations if each.buffer is not None), None)
    if held is None:
        kinds = dict.fromkeys(violation.kind for violation in violations)
        return [
            line for kind in kinds for line in _labelled("remedy", f"uemu explain {kind}", width)
        ]
    lines = _labelled("buffer", buffer_text(held), width)
    for fit in fits_of(violations):
        lines += _labelled("remedy", f"{fit.name}: {fit.text}", width)
    return lines


def fits_of(violations: Sequence[Violation]) -> list[Fit]:
    """The remedies for violations that share a story, and against which not all of them help."""
    against: dict[Fit, list[str]] = {}
    for violation in violations:
        for fit in fitting(violation):
            kinds = against.setdefault(with_place(fit, violation), [])
            if violation.kind not in kinds:
                kinds.append(violation.kind)
    number = len({violation.kind for violation in violations})
    return [
        fit if len(kinds) == number else Fit(f"{fit.name} (against {', '.join(kinds)})", fit.text)
        for fit, kinds in against.items()
    ]


def with_place(fit: Fit, violation: Violation) -> Fit:
    """The remedy with the line of the program it is about, if that is known."""
    if "in place of fork" not in fit.text:
        return fit
    forked = next((line for line in violation.story if line.event == "forked"), None)
    frame = own_frame(forked.stack) if forked is not None else None
    if frame is None:
        return fit
    return Fit(
        fit.name, fit.text.replace("in place of fork", f"in place of fork in {frame_text(frame)}")
    )


def buffer_text(held: HeldBuffer) -> str:
    """A buffer in words: where it is, whose, and what lies beside it."""
    length = held.end - held.start
    what = "1 byte" if length == 1 else f"{length} bytes"
    owner = f", {held.owner}" if held.owner else ""
    return f"{what} at {held.start:#x}{owner}. {_beside(held)}"


def _beside(held: HeldBuffer) -> str:
    if held.has_its_pages:
        return "Nothing else lies on its pages."
    parts = [f"{held.before} bytes before it"] if held.before else []
    parts += [f"{held.after} bytes after it"] if held.after else []
    text = f"On its pages lie {' and '.join(parts)}"
    if not held.neighbours:
        return f"{text}, none of them another buffer in flight."
    first, last = held.pages
    near = [
        f"{max(start, first):#x} to {min(end, last):#x}" for start, end in sorted(held.neighbours)
    ]
    more = f" and {len(near) - 3} more" if len(near) > 3 else ""
    return f"{text}, of them of other buffers in flight: {', '.join(near[:3])}{more}."


def _labelled(label: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=f"  {label}: ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


# For programs


def advice_json(violation: Violation) -> dict[str, Any]:
    """The same, of one violation."""
    held = violation.buffer
    buffer = None
    if held is not None:
        buffer = {
            "address": held.start,
            "length": held.end - held.start,
            "memory": held.memory or None,
            "owner": held.owner or None,
            "api": held.api,
            "pinned": held.pinned,
            "before": held.before,
            "after": held.after,
            "neighbours": [
                {"address": start, "length": end - start} for start, end in held.neighbours
            ],
        }
    fits = [with_place(fit, violation) for fit in fitting(violation)]
    return {"buffer": buffer, "remedies": [fit._asdict() for fit in fits]}

"""The drawing of a run as data, from which a program can draw it again.

An object of these keys; strings are what the text drawing shows, before it
folds or cuts them:

title     the text drawing's title, in one line
schedule  the text form of the schedule: a digit for each step
verdicts  the kinds of what was violated, in the order reports list them
cpus      the columns from left to right, objects of
            task   a number, the CPU's digit in the schedule (0 to 35)
            name   what the thread is called; two may have one name
steps     all of them in their order, objects of
            index     a number, from 0
            task      who takes it: that of a CPU
            cpu       the name of that CPU
            function  the kernel function the step belongs to
            note      what the step does
            state     the page right after it
legend    what the signs of ``state`` mean, in lines
replay    the command that runs it again
"""

from __future__ import annotations

from typing import Any

from uemu.report.drawing import cpus
from uemu.report.race import Race
from uemu.report.story import in_order


def drawing_json(race: Race) -> dict[str, Any]:
    """The object; of a very long run it has each step, unlike the text."""
    columns = cpus(race.run.records)
    return {
        "title": race.title,
        "schedule": str(race.run.schedule),
        "verdicts": in_order(race.run.verdicts),
        "cpus": [{"task": task, "name": name} for task, name in columns.items()],
        "steps": [
            {
                "index": record.index,
                "task": record.task_index,
                "cpu": record.task_name,
                "function": record.step.fn,
                "note": record.step.what,
                "state": record.state,
            }
            for record in race.run.records
        ],
        "legend": list(race.legend),
        "replay": race.replay,
    }

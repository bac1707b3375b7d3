"""Who runs the next step: every order of steps of a small world, decided.

`world`      what can be explored: tasks, a check, verdicts. Knows no memory.
`schedule`   an order of steps as a text one can paste: ``uemu1:01122002``.
`execution`  one world, run once, step by step.
`replay`     the run a schedule stands for; the same run twice.
`search`     what every search can do: run the next execution, be put aside.
`dfs`        every order, one after the other; `preemptions` bounds it.
`dpor`       one order of each kind: dynamic partial-order reduction.
`sampling`   orders drawn at random, by `randomly` or `pct`.
`split`      several searches out of one; `share` has workers run them.
`result`     what an exploration found, and whether it was all.
`explorer`   explores with any of them, collects the verdicts, stops where asked.
`shrink`     the same verdict with the fewest context switches.
"""

from uemu.explore.execution import Execution, Run, StepRecord
from uemu.explore.explorer import explore
from uemu.explore.pct import Pct, measured
from uemu.explore.randomly import Uniform
from uemu.explore.replay import check_deterministic, replay
from uemu.explore.result import Exploration
from uemu.explore.sampling import Sampler
from uemu.explore.schedule import FORMAT, Schedule, ScheduleError
from uemu.explore.share import Workers
from uemu.explore.shrink import count_switches, shrink
from uemu.explore.world import Task, World, WorldFactory

__all__ = [
    "FORMAT",
    "Execution",
    "Exploration",
    "Pct",
    "Run",
    "Sampler",
    "Schedule",
    "ScheduleError",
    "StepRecord",
    "Task",
    "Uniform",
    "Workers",
    "World",
    "WorldFactory",
    "check_deterministic",
    "count_switches",
    "explore",
    "measured",
    "replay",
    "shrink",
]

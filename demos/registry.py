"""The demos by name. A demo is a module with ``name``, ``summary`` and ``run``."""

from __future__ import annotations

from typing import Final

from uemu_demos import lost_read, reverse_race

DEMOS: Final = {demo.name: demo for demo in (lost_read, reverse_race)}

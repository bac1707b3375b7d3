"""How wide a report on stderr is: as wide as the terminal that shows it, within limits."""

from __future__ import annotations

import os
import sys
from typing import Final

WIDEST: Final = 99
NARROWEST: Final = 40


def report_width() -> int:
    """Columns for a line; what is no terminal has no width, and gets `WIDEST`."""
    try:
        if sys.stderr.isatty():
            # The last column stays free: some terminals go on to the next line after it.
            columns = os.get_terminal_size(sys.stderr.fileno()).columns - 1
            return max(NARROWEST, min(columns, WIDEST))
    except (OSError, ValueError):
        pass
    return WIDEST

"""What is expected of ``gup-fast-again-vs-fork``: what ``gup-fast-vs-fork`` shows."""

from uemu.expected import gup_fast_vs_fork

EXPECTED = gup_fast_vs_fork.EXPECTED
"""Told in order fork comes after gup, whichever way gup went; a mark is there in both."""

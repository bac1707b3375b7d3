"""What is expected of ``forkscrewreverse``: as of ``reverse-race``, for each page."""

from uemu.expected import reverse_race

EXPECTED = reverse_race.EXPECTED

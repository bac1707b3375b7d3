"""What is expected of ``dofork-again``: as of ``lost-read``, for fork does what it did before."""

from uemu.expected import lost_read

EXPECTED = lost_read.EXPECTED

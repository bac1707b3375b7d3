"""What is expected of ``posix-spawn``: as of ``vfork-exec``, which it does (ground truth e4)."""

from uemu.expected import vfork_exec

EXPECTED = vfork_exec.EXPECTED

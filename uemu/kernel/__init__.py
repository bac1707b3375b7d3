"""All of it joined: a policy, memory and devices, as operations on CPUs.

kernel  Kernel: address spaces, and the rest under ``io`` and ``user``
io      direct I/O and registrations
user    stores and loads on the simulated MMU
touch   what an explorer must know of buffers
"""

from uemu.kernel.io import Holder
from uemu.kernel.kernel import FORK_ADVICE, Kernel

__all__ = ["FORK_ADVICE", "Holder", "Kernel"]

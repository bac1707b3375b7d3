"""All of it joined: a policy, memory and devices, as operations on CPUs.

kernel     Kernel: address spaces, and the rest under ``io`` and ``user``
io         direct I/O and registrations
secondary  secondary MMUs, and what guests do
user       stores and loads, one step at a time
cpus       what executes them: the port, and simulated CPUs
touch      what an explorer must know of buffers
"""

from uemu.kernel.io import Holder
from uemu.kernel.kernel import FORK_ADVICE, Kernel
from uemu.kernel.secondary import SecondaryMmu, check_kind

__all__ = ["FORK_ADVICE", "Holder", "Kernel", "SecondaryMmu", "check_kind"]

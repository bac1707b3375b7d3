"""The public library: a machine of real processes under a kernel of one's choice.

machine   Machine: policy, processes, devices, violations
process   Process and Thread: what a program can do
dma       Transfer and Registration: what a device can do
secondary SecondaryMmu: what a guest can do
"""

from uemu.machine.dma import Dma, Registration, Transfer
from uemu.machine.machine import Machine, PageInfo
from uemu.machine.process import Call, Process, Thread
from uemu.machine.secondary import SecondaryMmu

__all__ = [
    "Call",
    "Dma",
    "Machine",
    "PageInfo",
    "Process",
    "Registration",
    "SecondaryMmu",
    "Thread",
    "Transfer",
]

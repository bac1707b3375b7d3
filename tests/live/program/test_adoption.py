"""Which memory of a program can become frames."""

from __future__ import annotations

from typing import Any, cast

import pytest

from uemu.abi import PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE
from uemu.host.procfs import RealVma
from uemu.live.program.adoption import Adoption
from uemu.mm.mm_struct import MmStruct

RW = PROT_READ | PROT_WRITE
BASE = 0x7000_0000


class FakeMm:
    """An address space with two neighbouring mappings, of which the emulated kernel has none."""

    def __init__(self, second: RealVma) -> None:
        self.mm = MmStruct(0, "program")
        self.memory = self
        self._vmas = (RealVma(BASE, BASE + PAGE_SIZE, RW, shared=False), second)

    def vma_at(self, addr: int) -> RealVma | None:
        return next((vma for vma in self._vmas if vma.start <= addr < vma.end), None)


def second(prot: int = RW, *, shared: bool = False, hugetlb: bool = False) -> RealVma:
    return RealVma(BASE + PAGE_SIZE, BASE + 2 * PAGE_SIZE, prot, shared, hugetlb)


@pytest.mark.parametrize(
    ("vma", "can"),
    [
        (second(), True),
        (second(PROT_READ), False),
        (second(RW | PROT_EXEC), False),
        (second(shared=True), False),
        (second(hugetlb=True), False),
    ],
)
def test_what_can_be_pinned_is_private_and_replaceable(vma: RealVma, can: bool) -> None:
    adoption = Adoption(*cast(Any, (None,) * 5))
    mm = cast(Any, FakeMm(vma))
    assert adoption.can_pin(mm, BASE + 512, PAGE_SIZE, write=True) is can
    assert adoption.can_pin(mm, BASE, PAGE_SIZE, write=True)

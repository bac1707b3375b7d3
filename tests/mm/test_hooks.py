"""What a policy inherits: answers that most kernels share."""

from __future__ import annotations

import pytest

from tests.common import ALL_POLICIES
from tests.each import each
from uemu.abi import Foll
from uemu.mm.hooks import APIS, GupCall, PolicyHooks
from uemu.mm.mm_struct import MmStruct
from uemu.mm.pte import Pte
from uemu.mm.vma import Vm, Vma
from uemu.policy.linux_2_6_29 import Linux2_6_29
from uemu.policy.registry import make_policy
from uemu.step import Cpu, run


@pytest.mark.parametrize("api", APIS)
def test_before_5_6_everything_is_a_get(api: str) -> None:
    hooks = Linux2_6_29()
    assert Foll.PIN not in hooks.gup_kind(api, write=True).foll
    assert Foll.GET in hooks.gup_kind(api, write=False).foll


def test_some_apis_ask_for_write_access_even_to_read() -> None:
    hooks = Linux2_6_29()
    assert hooks.gup_kind("o_direct", write=False) == GupCall(Foll.GET, True)
    assert hooks.gup_kind("rdma", write=False) == GupCall(Foll.GET | Foll.WRITE, False)
    assert hooks.gup_kind("vfio", write=False) == GupCall(Foll.GET, False)


@each("policy", ALL_POLICIES)
@pytest.mark.parametrize("api", APIS)
def test_every_policy_takes_exactly_one_kind_of_reference(policy: str, api: str) -> None:
    for write in (False, True):
        foll = make_policy(policy).gup_kind(api, write=write).foll
        assert (Foll.GET in foll) != (Foll.PIN in foll)
        assert Foll.WRITE in foll or not write


@each("policy", ALL_POLICIES)
def test_mprotect_never_makes_a_private_page_writable_itself(policy: str) -> None:
    vma = Vma(0, 0x1000, Vm.READ | Vm.WRITE | Vm.MAYWRITE)
    assert not make_policy(policy).pte_modify(Cpu("cpu"), vma, Pte(1, False)).write


def test_an_unknown_variant_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no variant 'x'; it has: none"):
        Linux2_6_29("x")


def test_a_policy_must_answer_the_four_questions() -> None:
    with pytest.raises(TypeError, match="abstract"):
        PolicyHooks()  # type: ignore[abstract]


def test_gup_fast_goes_ahead_and_keeps_its_pages_by_default() -> None:
    hooks, cpu, mm = Linux2_6_29(), Cpu("cpu"), MmStruct(0, "parent")
    assert run(hooks.gup_fast_begin(cpu, mm, Foll.GET)) == 0
    assert run(hooks.gup_fast_end(cpu, mm, Foll.GET, 0))

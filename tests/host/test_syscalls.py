"""Names of system calls, as people know them."""

from __future__ import annotations

from uemu import abi
from uemu.host.syscalls import name_of


def test_our_numbers_have_the_names_we_think() -> None:
    ours = {name: number for name, number in vars(abi).items() if name.startswith("SYS_")}
    assert ours
    for name, number in ours.items():
        assert name_of(number) == name.removeprefix("SYS_").lower()


def test_a_number_without_a_name_is_shown() -> None:
    assert name_of(100_000) == "system call 100000"

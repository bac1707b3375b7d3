"""Policies as they are typed."""

from __future__ import annotations

from uemu.cli.parser import UsageError
from uemu.policy.registry import make_policy


def check_policy(name: str) -> str:
    """The name, if there is such a policy.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    try:
        make_policy(name)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return name


def check_program_policy(name: str) -> str:
    """The name, if programs that run freely can be under that policy.

    Raises:
        UsageError: there is none, or they cannot.
    """
    check_policy(name)
    why = make_policy(name).not_for_programs
    if why is not None:
        raise UsageError(
            f"{name} is not for programs: {why}; `uemu matrix --policy {name}` tells what it does"
        )
    return name

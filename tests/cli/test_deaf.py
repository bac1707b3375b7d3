"""Ctrl-C while a program runs that gets it itself."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from uemu.cli.deaf import KEYS, Deaf


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """What the signals do, put back."""
    before = {number: signal.getsignal(number) for number in KEYS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_heard_and_ends_nothing(key: signal.Signals) -> None:
    with Deaf() as deaf:
        assert not deaf.heard
        signal.raise_signal(key)
        assert deaf.heard


def test_afterwards_a_key_does_what_it_did() -> None:
    with pytest.raises(ZeroDivisionError), Deaf():
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_program_gets_the_default_and_not_that_it_is_ignored() -> None:
    # execve keeps what is ignored and takes handlers away.
    with Deaf():
        assert all(callable(signal.getsignal(number)) for number in KEYS)


def test_what_was_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Deaf() as deaf:
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        signal.raise_signal(signal.SIGINT)
        assert not deaf.heard
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN

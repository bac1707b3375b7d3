"""Many like cases in one test: each runs, all that fail are reported.

A test of pytest's costs more than most cases here do, in collecting, setting up
and reporting it. ``@each("policy", ALL_POLICIES)`` stands where
``@pytest.mark.parametrize`` would, over a function that shares nothing between
its cases: a fixture, if it has one, is made once for all of them.
"""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

Test = Callable[..., None]


def each(
    names: str | tuple[str, ...], cases: Iterable[Any], called: Callable[[Any], str] = str
) -> Callable[[Test], Test]:
    """Let a test run over all cases before it fails.

    Args:
        names: the argument that a case is, or those that it has a value each for.
        cases: at least one.
        called: how a value is called in the report.

    Raises:
        ValueError: there is no case, so that the test could not fail.
    """
    keys = (names,) if isinstance(names, str) else names
    values = [(case,) if isinstance(names, str) else tuple(case) for case in cases]
    if not values:
        raise ValueError(f"no case of {', '.join(keys)}")

    def fold(test: Test) -> Test:
        @functools.wraps(test)
        def run_all(**fixtures: Any) -> None:
            failed = {}
            for case in values:
                try:
                    test(**fixtures, **dict(zip(keys, case, strict=True)))
                except (Exception, pytest.fail.Exception) as error:
                    failed["-".join(map(called, case))] = error
            if failed:
                _report(failed, len(values))

        signature = inspect.signature(test)
        kept = [each for name, each in signature.parameters.items() if name not in keys]
        run_all.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        return run_all

    return fold


def _report(failed: Mapping[str, BaseException], total: int) -> None:
    """Fail with the names of all that did, and where the first did."""
    first = next(iter(failed.values()))
    lines = [f"{len(failed)} of {total} cases fail; the first:"]
    lines += traceback.format_exception(type(first), first, first.__traceback__)
    lines += [f"{name}: {type(error).__name__}: {error}" for name, error in failed.items()]
    pytest.fail("\n".join(lines), pytrace=False)

"""Many cases in one test: none is left out, and none hides another."""

from __future__ import annotations

import pytest

from tests.each import each


def test_every_case_runs_and_each_that_fails_is_named() -> None:
    ran = []

    @each("number", range(5))
    def folded(number: int) -> None:
        ran.append(number)
        assert number % 2 == 0

    with pytest.raises(pytest.fail.Exception) as failed:
        folded()
    assert ran == [0, 1, 2, 3, 4]
    said = str(failed.value)
    assert said.startswith("2 of 5 cases fail; the first:")
    assert "\n1: AssertionError" in said
    assert "\n3: AssertionError" in said
    assert "\n2: " not in said


def test_what_raises_or_does_not_raise_fails_too() -> None:
    @each("name", ["one", "2"])
    def folded(name: str) -> None:
        with pytest.raises(ValueError, match="two"):
            int(name)

    with pytest.raises(pytest.fail.Exception) as failed:
        folded()
    said = str(failed.value)
    assert said.startswith("2 of 2 cases fail; the first:")
    assert "\none: AssertionError" in said
    assert "\n2: Failed: DID NOT RAISE" in said


def test_nothing_fails_where_no_case_does() -> None:
    @each("number", [1, 2])
    def folded(number: int) -> None:
        assert number

    folded()


def test_no_case_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no case of number"):
        each("number", [])


@each("number", [1, 2])
@pytest.mark.parametrize("other", [3, 4])
def test_it_stands_beside_what_pytest_has(number: int, other: int, tmp_path: object) -> None:
    assert number < other
    assert tmp_path

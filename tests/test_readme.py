"""The README's tables, drawings and examples are current, and its commands have their form."""

from __future__ import annotations

import contextlib
import io
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.common import exists
from uemu.cli.main import main
from uemu.explore import explore, shrink
from uemu.oracle.violations import KINDS
from uemu.policy.registry import POLICIES
from uemu.report.drawing import draw
from uemu.scenario.registry import SCENARIOS, find_scenario
from uemu.scenario.simulate import simulate
from uemu.scenario.world import SimulatedWorld

README = Path(__file__).resolve().parent.parent / "README.md"

SIGNS = {
    "lost-dma-write": "lost",
    "dma-write-seen-by-other": "seen",
    "foreign-dma-read": "foreign",
    "fork-blocked": "waits",
    "deadlock": "deadlock",
    "refcount-leak": "leak",
}


def section(mark: str) -> str:
    """What stands between a mark's comment and the next heading."""
    text = README.read_text()
    start = text.index(f"<!-- {mark}: written by tests/test_readme.py -->")
    return text[text.index("\n", start) :].split("\n## ", 1)[0].strip()


TELLING = (
    "lost-read",
    "child-corrupted",
    "two-readers-one-page",
    "reverse-race",
    "ro-pin-then-fork",
    "both-pinned-for-read",
    "child-exits-first",
    "mprotect-toggle-while-pinned",
    "munmap-in-flight",
)
"""The scenarios that the README's table shows; ``uemu matrix`` has all."""


def verdicts() -> str:
    """The table of verdicts."""
    lines = ["| | | " + " | ".join(f"`{name}`" for name in TELLING) + " |",
             "|---|---|" + "---|" * len(TELLING)]  # fmt: skip
    for policy in sorted(POLICIES.values(), key=lambda policy: policy.year):
        cells = []
        for name in TELLING:
            if not exists(name, policy.name):
                cells.append("n/a")
                continue
            kinds = simulate(SCENARIOS[name], policy.name).kinds
            told = [SIGNS.get(kind, f"`{kind}`") for kind in KINDS if kind in kinds]
            cells.append(", ".join(told) or "-")
        lines.append(f"| `{policy.name}` | {policy.year} | " + " | ".join(cells) + " |")
    meaning = "; ".join(f"*{sign}*: `{kind}`" for kind, sign in SIGNS.items())
    return "\n".join([*lines, "", f"{meaning}; -: nothing is violated; n/a: it cannot be."])


def race() -> str:
    """The drawing of the race."""
    scenario = find_scenario("gup-fast-vs-fork")
    policy = "arcangeli-2009-v2:norecheck"

    def world() -> SimulatedWorld:
        return SimulatedWorld(scenario, policy)

    found = explore(world).verdicts["lost-dma-write"]
    drawing = draw(scenario.name, shrink(world, found, "lost-dma-write"), remark="norecheck")
    return f"```text\n{drawing.rstrip()}\n```"


def typed(command: str) -> list[str]:
    """What a command prints, in lines."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(command.split()[1:]) == 0
    return out.getvalue().splitlines()


def pasted(policies: str, scenarios: str) -> str:
    """What ``uemu matrix`` prints of a few cells, without the line that says how long it took."""
    words = [f"--policy_{name}" for name in policies.split()]
    words += [f"--scenario_{name}" for name in scenarios.split()]
    command = textwrap.wrap(f"$ uemu matrix {' '.join(words)}", 90, break_on_hyphens=False)
    command = [line.replace("_", " ") for line in command]
    *lines, counts = typed(" ".join(command).removeprefix("$ "))
    assert counts.endswith("none differ from what is expected")
    typed_in = " \\\n    ".join(command)
    return "\n".join(["```text", typed_in, *lines, "...", "```"])


def matrix() -> str:
    """Five kernels, five scenarios."""
    return pasted(
        "linux-2.6.29 arcangeli-2009-v2 linux-5.8 linux-5.11 linux-6.5",
        "lost-read child-corrupted reverse-race ro-pin-then-fork child-exits-first",
    )


def huge() -> str:
    """The same stories of a page, of a transparent huge page, and of one of hugetlb."""
    return pasted(
        "linux-2.6.29 linux-4.19 linux-5.8 linux-5.11 linux-5.19 linux-6.5",
        "lost-read thp-lost-read hugetlb-lost-read thp-other-subpage child-exits-first"
        " thp-child-exits-first hugetlb-child-exits-first",
    )


def explained() -> str:
    """What ``uemu explain`` prints of a violation, up to where it is shown."""
    command = "uemu explain stale-dma-read"
    lines = typed(command)
    last = next(at for at, line in enumerate(lines) if line.startswith("Shown in"))
    return "\n".join(["```text", f"$ {command}", *lines[:last], "...", "```"])


GENERATED = {
    "verdicts": verdicts,
    "race": race,
    "matrix": matrix,
    "huge": huge,
    "explain": explained,
}


@pytest.mark.parametrize(("mark", "current"), GENERATED.items())
def test_generated_part_is_current(mark: str, current: Callable[[], str]) -> None:
    now = current()
    assert section(mark) == now, f"paste this under the {mark} mark:\n{now}"


def test_no_drawing_stands_outside_the_generated_parts() -> None:
    text = README.read_text()
    assert text.count("Race:") == section("race").count("Race:") == 1
    heads = re.compile(r"^ *#  .*\bnote +state$", re.MULTILINE)
    assert len(heads.findall(text)) == len(heads.findall(section("race"))) == 1


def test_commands_are_the_first_two_sh_blocks_and_one_line_each() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    run, test = blocks[:2]
    assert run.count("\n") == test.count("\n") == 1
    assert "uemu demo" in run
    assert "pytest" in test


@pytest.mark.needs_ptrace
def test_library_example_runs_as_printed() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    (example,) = [block for block in blocks if "with uemu.Machine" in block]
    exec(compile(example, str(README), "exec"), {})


def test_nothing_in_a_paste_is_wider_than_100_columns() -> None:
    blocks = re.findall(r"^```text\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert all(len(line) <= 100 for block in blocks for line in block.splitlines())


def rewrite() -> None:
    """Write the generated parts anew: ``python -m tests.test_readme``."""
    for mark, current in GENERATED.items():
        README.write_text(README.read_text().replace(section(mark), current()))


if __name__ == "__main__":
    rewrite()

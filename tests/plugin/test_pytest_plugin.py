"""The pytest plugin, on little test files that are run as their authors would run them."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from pathlib import Path

import pytest

# Imported before any inner run: such a run forgets the modules it was the first to
# import, and halves of the library from two imports do not know each other.
import uemu.host.doctor
import uemu.machine
import uemu.report.story  # noqa: F401
from tests.live import no_ptrace
from tests.live.processes import state

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]

INSTALLED = any(entry.name == "uemu" for entry in importlib.metadata.entry_points(group="pytest11"))
PLUGIN = () if INSTALLED else ("-p", "uemu.pytest_plugin")
"""What a pytest run in a checkout that is not installed needs to have the plugin."""

LOST_READ = """
    import uemu

    def lose_a_read(machine):
        parent = machine.spawn()
        buf = parent.mmap(uemu.PAGE_SIZE)
        parent.store(buf, b"I" * uemu.PAGE_SIZE)
        read = machine.dma.start(parent, buf + 3584, 512, direction=uemu.DMA_FROM_DEVICE)
        parent.fork()
        parent.store(buf, b"P")
        read.complete(b"D" * 512)
        return parent.load(buf + 3584, 512)
"""


@pytest.fixture(autouse=True)
def _no_force(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the outer run is told does not reach the inner one."""
    monkeypatch.delenv("UEMU_FORCE", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    """Run pytest with the plugin in this process."""
    return pytester.runpytest_inprocess(*PLUGIN, "-p", "no:cacheprovider", *args)


def run_without_ptrace(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    """Run pytest with the plugin where ptrace is forbidden."""
    return pytester.run(sys.executable, no_ptrace.SCRIPT, "-m", "pytest", *PLUGIN, *args)


# The fixture


@pytest.mark.needs_ptrace
def test_machines_run_under_the_newest_kernel_unless_told_otherwise(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("""
        import pytest

        def test_default(uemu_machine):
            assert uemu_machine().policy == "linux-6.5"

        def test_explicit(uemu_machine):
            assert uemu_machine("linux-5.9").policy == "linux-5.9"

        def test_both(uemu_machine):
            one, other = uemu_machine("linux-2.6.29"), uemu_machine()
            assert (one.policy, other.policy) == ("linux-2.6.29", "linux-6.5")
            assert one.spawn().alive and other.spawn().alive

        def test_its_policy(uemu_machine, uemu_policy):
            assert uemu_machine().policy == uemu_policy == uemu_machine.policy

        def test_unknown(uemu_machine):
            with pytest.raises(ValueError, match="nearest: linux-6.5"):
                uemu_machine("linux-6.6")
    """)
    run(pytester).assert_outcomes(passed=5)


@pytest.mark.needs_ptrace
def test_machines_close_with_the_test_whether_it_passed_or_not(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_passes(uemu_machine):
            print("its pid", uemu_machine().spawn().fork().pid)

        def test_fails(uemu_machine):
            machine = uemu_machine()
            print("its pid", machine.spawn().pid)
            print("its pid", uemu_machine().spawn().pid)
            assert False
    """)
    result = run(pytester, "-s")
    result.assert_outcomes(passed=1, failed=1)
    pids = [int(pid) for pid in re.findall(r"its pid (\d+)", result.stdout.str())]
    assert len(pids) == 3
    assert [state(pid) for pid in pids] == [None] * 3


@pytest.mark.needs_ptrace
def test_a_machine_may_be_closed_by_the_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_closes(uemu_machine):
            with uemu_machine() as machine:
                machine.spawn()
            uemu_machine().close()
    """)
    run(pytester).assert_outcomes(passed=1)


@pytest.mark.needs_ptrace
def test_a_kernel_that_broke_its_own_rules_is_an_error_of_a_test_that_passed(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("""
        import pytest

        def leak(machine):
            process = machine.spawn()
            buf = process.mmap(4096)
            process.store(buf, b"x")
            machine.stage.kernel.mech.pages[machine.frame_of(process, buf)].refcount.value += 1

        def test_passes(uemu_machine):
            leak(uemu_machine("linux-5.9"))

        def test_fails_anyway(uemu_machine):
            leak(uemu_machine())
            assert False
    """)
    result = run(pytester)
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_passes*",
            "uemu machine under linux-5.9: refcount-leak: *",
            "*uemu machine under linux-5.9: timeline*",
        ]
    )
    result.stdout.no_fnmatch_line("*ERROR at teardown of test_fails_anyway*")


# The marker


@pytest.mark.needs_ptrace
def test_a_marked_test_runs_once_under_each_policy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        LOST_READ
        + """
    import pytest

    @pytest.mark.uemu_policy("linux-2.6.29", "linux-6.5", "arcangeli-2009-v2:norecheck")
    def test_read(uemu_machine):
        lost = uemu_machine.policy == "linux-2.6.29"
        assert lose_a_read(uemu_machine()) == (b"I" if lost else b"D") * 512
    """
    )
    result = run(pytester, "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "*::test_read[[]linux-2.6.29[]] PASSED*",
            "*::test_read[[]linux-6.5[]] PASSED*",
            "*::test_read[[]arcangeli-2009-v2:norecheck[]] PASSED*",
        ]
    )


def test_the_closest_marker_counts(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        pytestmark = pytest.mark.uemu_policy("linux-2.6.29", "linux-5.9")

        def test_module(uemu_policy):
            pass

        def test_of_something_else():
            pass

        @pytest.mark.uemu_policy("linux-6.5")
        class TestClass:
            def test_class(self, uemu_policy):
                pass

            @pytest.mark.uemu_policy("linux-5.9", "linux-5.9")
            @pytest.mark.parametrize("n", [1, 2])
            def test_function(self, uemu_policy, n):
                pass
    """)
    result = run(pytester, "--collect-only", "-q")
    collected = {line.split("::", 1)[1] for line in result.outlines if "::" in line}
    assert collected == {
        "test_module[linux-2.6.29]",
        "test_module[linux-5.9]",
        "test_of_something_else",
        "TestClass::test_class[linux-6.5]",
        "TestClass::test_function[linux-5.9-1]",
        "TestClass::test_function[linux-5.9-2]",
    }


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ('"linux-6.4"', "unknown policy 'linux-6.4'; nearest: linux-6.5*"),
        ('"linux-6.5", "lunix-5.9"', "unknown policy 'lunix-5.9'; nearest: linux-5.9*"),
        ('"linux-6.5:nope"', "linux-6.5 has no variant 'nope'; it has: none"),
        ("6.5", "a policy is a string, not 6.5"),
        ("", "name the policies: *uemu_policy(*"),
        ('name="linux-6.5"', "name the policies: *uemu_policy(*"),
    ],
)
def test_a_marker_that_names_no_policy_is_an_error_of_the_collection(
    pytester: pytest.Pytester, marker: str, said: str
) -> None:
    pytester.makepyfile(f"""
        import pytest

        @pytest.mark.uemu_policy({marker})
        def test_read(uemu_machine):
            pass
    """)
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*test_read: marker uemu_policy: {said}"])
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_a_marked_test_must_use_a_machine(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.mark.uemu_policy("linux-6.5")
        def test_read():
            pass
    """)
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*it uses neither the fixture uemu_machine nor uemu_policy*"])


def test_the_marker_is_registered_and_explained(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.uemu_policy(name, ...): run the test once*"])


# The option --uemu-policy


SOME_MARKED = """
    import pytest

    def test_unmarked(uemu_policy):
        assert uemu_policy == "linux-5.9"

    @pytest.mark.uemu_policy("linux-2.6.29", "linux-5.9")
    def test_marked(uemu_policy):
        assert uemu_policy == "linux-5.9"

    @pytest.mark.uemu_policy("linux-2.6.29", "linux-6.5")
    def test_for_others(uemu_policy):
        assert False

    def test_of_something_else():
        pass
"""


def test_the_option_sets_the_policy_and_deselects_other_ones(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SOME_MARKED)
    result = run(pytester, "--uemu-policy", "linux-5.9")
    result.assert_outcomes(passed=3, deselected=3)
    result.stdout.fnmatch_lines(["uemu: policy linux-5.9"])


def test_without_the_option_nothing_is_deselected_or_said(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SOME_MARKED)
    result = run(pytester)
    result.assert_outcomes(passed=2, failed=4)
    result.stdout.no_fnmatch_line("uemu: *policy*")


def test_an_option_that_names_no_policy_is_wrong_use(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--uemu-policy", "linux-6.4")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --uemu-policy: unknown policy 'linux-6.4'; nearest: linux-6.5*"]
    )


def test_the_options_are_explained(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--help")
    text = " ".join(" ".join(result.outlines).split())
    assert "--uemu-policy=NAME" in text
    assert "only the runs under NAME are kept, and the others deselected" in text
    assert "--uemu-force" in text
    assert "UEMU_FORCE=1" in text


# Failures


@pytest.mark.needs_ptrace
def test_a_failure_shows_timeline_violations_and_the_way_back(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_driver=LOST_READ
        + """
    import pytest

    @pytest.mark.uemu_policy("linux-2.6.29")
    def test_read(uemu_machine):
        machine = uemu_machine()
        assert lose_a_read(machine) == b"D" * 512
    """
    )
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*uemu machine under linux-2.6.29: timeline*",
            "    1  parent: begins",
            "*parent: stores 4096 bytes b'IIIIIIII'... at 0x100000000000, pfn 0",
            "*parent: I/O 1, an o_direct transfer, gets pfn 0",
            "*parent: cow_user_page() copies pfn 0 to pfn 1 for parent",
            "*device: I/O 1 writes 512 bytes b'DDDDDDDD'... at byte 3584 of pfn 0",
            "*uemu machine under linux-2.6.29: violations*",
            "lost-dma-write: parent does not see what the device wrote*",
            "*1. parent: o_direct gets pfn 0",
            "  buffer: 512 bytes at 0x100000000e00. On its pages lie 3584 bytes before it*",
            "  remedy: MADV_DONTFORK: madvise(0x100000000000, 4096, MADV_DONTFORK)*",
            "*uemu: run it again*",
            "pytest 'test_driver.py::test_read[[]linux-2.6.29[]]'",
        ]
    )


@pytest.mark.needs_ptrace
def test_the_way_back_leads_back_from_where_pytest_was_started(pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("drivers")
    (folder / "test_driver.py").write_text(
        "def test_read(uemu_machine):\n    uemu_machine()\n    assert False\n"
    )
    pytester.makeini("[pytest]")
    result = run(pytester, "--uemu-policy=linux-5.9", "drivers")
    result.stdout.fnmatch_lines(
        ["pytest drivers/test_driver.py::test_read --uemu-policy linux-5.9"]
    )
    os.chdir(folder)
    result = run(pytester)
    result.stdout.fnmatch_lines(["pytest test_driver.py::test_read"])


@pytest.mark.needs_ptrace
def test_of_a_long_timeline_the_end_is_shown(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_long(uemu_machine):
            process = uemu_machine().spawn()
            buf = process.mmap(4096)
            for _ in range(100):
                process.store(buf, b"x")
            process.store(buf, b"the end")
            assert False
    """)
    result = run(pytester)
    result.stdout.fnmatch_lines(
        [
            "*(44 events before)",
            "   45  parent: stores b'x' *",
            "  104  parent: stores b'the end' *",
        ]
    )
    result.stdout.no_fnmatch_line("   44  *")


@pytest.mark.needs_ptrace
def test_each_of_several_machines_is_shown_closed_or_not(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_two(uemu_machine):
            with uemu_machine("linux-5.9") as machine:
                machine.spawn("first")
            uemu_machine().spawn("second")
            assert False
    """)
    result = run(pytester)
    result.stdout.fnmatch_lines(
        [
            "*uemu machine 1 under linux-5.9: timeline*",
            "    1  first: begins",
            "*uemu machine 1 under linux-5.9: violations*",
            "none",
            "*uemu machine 2 under linux-6.5: timeline*",
            "    1  second: begins",
            "*uemu: run it again*",
        ]
    )


@pytest.mark.needs_ptrace
def test_every_kind_of_event_is_told_in_words(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import uemu

        def test_much(uemu_machine):
            machine = uemu_machine()
            parent = machine.spawn()
            buf = parent.mmap(8192)
            parent.load(buf, 8)
            parent.store(buf, b"x")
            region = machine.dma.register(parent, buf, 4096)
            region.dma_write(0, b"D")
            region.dma_read(0, 1)
            child = parent.fork()
            child.munmap(buf, 4096)
            region.release()
            child.exit()
            assert False
    """)
    result = run(pytester)
    timeline = result.outlines[
        next(n for n, line in enumerate(result.outlines) if "timeline" in line) :
    ]
    told = [line[7:] for line in timeline if line[:5].strip().isdecimal()]
    assert told
    # What has no words of its own would be shown as Python shows it.
    assert not [line for line in told if "(" in line.split()[0]]


def test_a_failure_without_a_machine_is_as_ever(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_fails():\n    assert False\n")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*uemu:*")


# Where ptrace is forbidden


MACHINE_AND_NONE = """
    def test_machine(uemu_machine):
        uemu_machine()

    def test_policy(uemu_policy):
        pass

    def test_of_something_else():
        pass
"""


@pytest.mark.needs_ptrace
@pytest.mark.slow
def test_without_ptrace_tests_are_skipped_with_the_reason(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(MACHINE_AND_NONE)
    result = run_without_ptrace(pytester, "-rs")
    result.assert_outcomes(skipped=1, passed=2)
    result.stdout.fnmatch_lines(
        ["SKIPPED*uemu cannot trace a process of our own (ptrace): Operation not permitted*"]
    )
    assert result.ret == 0


@pytest.mark.needs_ptrace
@pytest.mark.slow
@pytest.mark.parametrize("how", ["option", "environment"])
def test_with_force_they_fail_with_the_remedy(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    pytester.makepyfile(MACHINE_AND_NONE)
    if how == "environment":
        monkeypatch.setenv("UEMU_FORCE", "1")
    result = run_without_ptrace(pytester, *(("--uemu-force",) if how == "option" else ()))
    result.assert_outcomes(errors=1, passed=2)
    result.stdout.fnmatch_lines(
        ["uemu cannot trace a process of our own*seccomp mode 2*seccomp=unconfined*"]
    )
    assert result.ret == 1


@pytest.mark.needs_ptrace
@pytest.mark.slow
def test_force_set_to_0_is_no_force(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(MACHINE_AND_NONE)
    monkeypatch.setenv("UEMU_FORCE", "0")
    run_without_ptrace(pytester).assert_outcomes(skipped=1, passed=2)


# Those who do not use it


@pytest.mark.slow
def test_tests_without_machines_do_not_import_the_library(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import sys

        def test_imports():
            heavy = ("uemu.machine", "uemu.kernel", "uemu.host", "uemu.policy", "uemu._native")
            assert "uemu.pytest_plugin" in sys.modules
            assert [name for name in sys.modules if name.startswith(heavy)] == []
            assert "ptrace" not in sys.modules
    """)
    result = pytester.runpytest_subprocess(*PLUGIN, "-p", "no:xdist")
    result.assert_outcomes(passed=1)


def test_it_does_not_mind_other_tests_of_any_kind(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import unittest
        import pytest

        class TestOld(unittest.TestCase):
            def test_old(self):
                pass

        @pytest.mark.parametrize("uemu", [1, 2])
        def test_parameters(uemu):
            pass

        @pytest.mark.xfail(strict=True)
        def test_xfail():
            assert False
    """
    )
    pytester.maketxtfile(test_doc=">>> 1 + 1\n2\n")
    result = run(pytester, "--doctest-glob=*.txt", "--strict-markers", "-W", "error")
    result.assert_outcomes(passed=4, xfailed=1)

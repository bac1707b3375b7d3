"""The pytest plugin: machines as a fixture, kernels as parameters.

    @pytest.mark.uemu_policy("linux-2.6.29", "linux-6.5")
    def test_my_driver(uemu_machine):
        machine = uemu_machine()
        ...

`uemu_machine`   makes machines; they close with the test, their invariants checked
`uemu_policy`    the name of the policy a test runs under
marker ``uemu_policy(NAME, ...)``, options ``--uemu-policy`` and ``--uemu-force``

It is loaded by every pytest run in its environment, so it imports the library
when a test asks for it and not before.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import uemu

SHOWN = 60
"""Events of a machine's timeline that a failure shows, the last ones."""


class MachineFactory:
    """What the fixture `uemu_machine` gives: makes machines for one test.

    Attributes:
        policy: what a machine runs under unless told otherwise.
        machines: those made so far.
    """

    def __init__(self, policy: str) -> None:
        self.policy = policy
        self.machines: list[uemu.Machine] = []

    def __call__(self, policy: str | None = None) -> uemu.Machine:
        """Make a machine under ``policy``, or the test's own; it closes with the test.

        Raises:
            ValueError: no such policy.
            HostError: this machine cannot trace processes.
        """
        import uemu

        machine = uemu.Machine(policy or self.policy)
        self.machines.append(machine)
        return machine

    def close(self, *, check: bool) -> list[str]:
        """Close all machines; what is wrong with their invariants, if that is to be checked."""
        import uemu

        faults = []
        for machine in self.machines:
            if check and not machine.tracer.closed:
                try:
                    machine.check()
                except uemu.UemuError as error:
                    faults.append(f"uemu machine under {machine.policy}: {error}")
            machine.close()
        return faults


_FACTORY = pytest.StashKey[MachineFactory]()
_PASSED = pytest.StashKey[bool]()
_TOLD = pytest.StashKey[bool]()


# Options and markers ---------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--uemu-policy`` and ``--uemu-force``."""
    group = parser.getgroup("uemu", "uemu, the page-pinning emulator")
    group.addoption(
        "--uemu-policy",
        metavar="NAME",
        help="the kernel that tests run under which name none (default: the newest); of tests"
        " that do name some, with the marker uemu_policy, only the runs under NAME are kept,"
        " and the others deselected",
    )
    group.addoption(
        "--uemu-force",
        action="store_true",
        help="where processes cannot be traced, let tests that use uemu_machine fail instead of"
        " skipping them (also: UEMU_FORCE=1)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; refuse an option that names no policy."""
    config.addinivalue_line(
        "markers",
        "uemu_policy(name, ...): run the test once under each of these kernels (`uemu policies`"
        " lists them); needs the fixture uemu_machine or uemu_policy",
    )
    chosen = _chosen(config)
    if chosen is not None:
        fault = _policy_fault(chosen)
        if fault is not None:
            raise pytest.UsageError(f"--uemu-policy: {fault}")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which policy was chosen, if one was."""
    chosen = _chosen(config)
    return None if chosen is None else f"uemu: policy {chosen}"


def _chosen(config: pytest.Config) -> str | None:
    chosen: str | None = config.getoption("uemu_policy")
    return chosen


def _policy_fault(name: object) -> str | None:
    if not isinstance(name, str):
        return f"a policy is a string, not {name!r}"
    from uemu.policy.registry import make_policy

    try:
        make_policy(name)
    except ValueError as error:
        return str(error)
    return None


# Parametrisation ---------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a marked test once under each policy its closest marker names."""
    item = metafunc.definition
    marker = item.get_closest_marker("uemu_policy")
    if marker is None:
        return
    if "uemu_policy" not in metafunc.fixturenames:
        if marker in item.own_markers:
            _refuse(item, "it uses neither the fixture uemu_machine nor uemu_policy")
        return
    if not marker.args or marker.kwargs:
        _refuse(item, 'name the policies: @pytest.mark.uemu_policy("linux-6.5", ...)')
    for name in marker.args:
        fault = _policy_fault(name)
        if fault is not None:
            _refuse(item, fault)
    names = list(dict.fromkeys(marker.args))
    metafunc.parametrize("uemu_policy", names, ids=names, indirect=True)


def _refuse(item: pytest.Item, why: str) -> None:
    pytest.fail(f"{item.nodeid}: marker uemu_policy: {why}", pytrace=False)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--uemu-policy`` keep of marked tests the runs under that policy."""
    chosen = _chosen(config)
    if chosen is None:
        return
    others = [item for item in items if _parameter(item) not in (None, chosen)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if _parameter(item) in (None, chosen)]


def _parameter(item: pytest.Item) -> Any:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("uemu_policy")


# Fixtures ------------------------------------------------------------------------------------


@pytest.fixture
def uemu_policy(request: pytest.FixtureRequest) -> str:
    """The name of the policy the test runs under."""
    from uemu.policy.registry import NEWEST

    name: str = getattr(request, "param", None) or _chosen(request.config) or NEWEST
    return name


@pytest.fixture
def uemu_machine(request: pytest.FixtureRequest, uemu_policy: str) -> Iterator[MachineFactory]:
    """Make machines: ``uemu_machine()``, or ``uemu_machine("linux-5.9")``.

    They run under the test's policy unless told otherwise and close with the
    test. If it passed, the emulated kernel's own invariants are checked first.
    """
    _need_ptrace(request.config)
    factory = MachineFactory(uemu_policy)
    request.node.stash[_FACTORY] = factory
    yield factory
    faults = factory.close(check=request.node.stash.get(_PASSED, False))
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


def _need_ptrace(config: pytest.Config) -> None:
    """Skip the test where processes cannot be traced; with force, fail it."""
    from uemu.host import doctor

    error = doctor.ptrace_error()
    if error is None:
        return
    reason = f"uemu cannot {error.what}: {error.why}"
    if config.getoption("uemu_force") or os.environ.get("UEMU_FORCE", "") not in ("", "0"):
        pytest.fail(f"{reason}. {error.remedy}", pytrace=False)
    pytest.skip(f"{reason} (`uemu doctor` has the remedy)")


# Reports ----------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure what its machines went through, and how to run it again."""
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    factory = item.stash.get(_FACTORY, None)
    if report.failed and factory is not None and not item.stash.get(_TOLD, False):
        item.stash[_TOLD] = True
        for number, machine in enumerate(factory.machines, start=1):
            which = f"uemu machine {number}" if len(factory.machines) > 1 else "uemu machine"
            which += f" under {machine.policy}"
            report.sections.append((f"{which}: timeline", _timeline(machine)))
            report.sections.append((f"{which}: violations", _told(machine)))
        report.sections.append(("uemu: run it again", _rerun(item)))
    return report


def _rerun(item: pytest.Item) -> str:
    path = os.path.relpath(item.path, item.config.invocation_params.dir)
    words = ["pytest", "::".join([path, *str(item.nodeid).split("::")[1:]])]
    chosen = _chosen(item.config)
    if chosen is not None:
        words += ["--uemu-policy", chosen]
    return shlex.join(words)


def _told(machine: uemu.Machine) -> str:
    from uemu.report.advice_lines import advice_lines
    from uemu.report.story import WIDTH, together, told

    lines: list[str] = []
    for group in together(machine.violations):
        heads, story = told(group)
        lines += [*heads, *story, *advice_lines(group, WIDTH)]
    return "\n".join(lines) or "none"


def _timeline(machine: uemu.Machine) -> str:
    """The machine's last events, a line each, numbered from the first one it still has."""
    events = machine.timeline
    lines = [
        f"{number:>5}  {_tell(event, machine)}" for number, event in enumerate(events, start=1)
    ]
    left_out = len(lines) - SHOWN
    if left_out > 0:
        lines[:left_out] = [f"       ({left_out} events before)"]
    return "\n".join(lines) or "nothing happened"


def _tell(event: Any, machine: uemu.Machine) -> str:
    """An event in words."""
    from uemu import events as ev

    who = machine.name_of
    match event:
        case ev.MmCreated(_, name, None):
            return f"{name}: begins"
        case ev.MmCreated(_, name, int(parent)):
            return f"{name}: begins as a fork of {who(parent)}"
        case ev.MmGone(mm):
            return f"{who(mm)}: is gone"
        case ev.Forked(cpu, _, child):
            return f"{cpu}: fork returns {who(child)}"
        case ev.FaultTaken(cpu, _, addr, write):
            return f"{cpu}: its {'store' if write else 'load'} at {addr:#x} traps"
        case ev.PteSet(_, mm, base, old, new, write):
            now = "nothing" if new is None else f"pfn {new} {'rw' if write else 'r-'}"
            before = "nothing" if old is None else f"pfn {old}"
            return f"{who(mm)}: page {base:#x}: {before} -> {now}"
        case ev.PageCopied(cpu, mm, base, src, dst, fn):
            return f"{cpu}: {fn}() copies pfn {src} to pfn {dst} for {who(mm)}"
        case ev.SharedPageAdded(pfn):
            return f"pfn {pfn} is shared memory"
        case ev.PageFreed(pfn):
            return f"pfn {pfn} is freed"
        case ev.Unmapped(cpu, _, start, end):
            return f"{cpu}: unmaps [{start:#x}, {end:#x})"
        case ev.Stored(cpu, _, addr, pfn, data):
            return f"{cpu}: stores {_brief(data)} at {addr:#x}, pfn {pfn}"
        case ev.Loaded(cpu, _, addr, pfn, data):
            return f"{cpu}: loads {_brief(data)} from {addr:#x}, pfn {pfn}"
        case ev.IoStarted():
            kind = "registration" if event.long_term else "transfer"
            how = "pins" if event.pinned else "gets"
            pfns = ", ".join(str(held.pfn) for held in event.held)
            return f"{event.cpu}: I/O {event.io}, an {event.api} {kind}, {how} pfn {pfns}"
        case ev.DeviceWrote(io, pfn, offset, data):
            return f"device: I/O {io} writes {_brief(data)} at byte {offset} of pfn {pfn}"
        case ev.DeviceRead(io, pfn, offset, data):
            return f"device: I/O {io} reads {_brief(data)} at byte {offset} of pfn {pfn}"
        case ev.IoChecked(cpu, io, _, final):
            return f"{cpu}: I/O {io} {'is over' if final else 'goes on'}"
        case ev.Waited(cpu, _, fn, what, done):
            return f"{cpu}: {fn} {'waited' if done else 'waits'}: {what}"
    return repr(event)


def _brief(data: bytes) -> str:
    return repr(data) if len(data) <= 8 else f"{len(data)} bytes {data[:8]!r}..."

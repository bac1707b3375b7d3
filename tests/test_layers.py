"""The import table of the architecture, read from the sources without running them.

Every import counts, also one inside a function or under ``TYPE_CHECKING``, and
``import_module`` with a name that is written out. Each rule has a negative
control: a module, made up here, that breaks it and nothing else.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.each import each

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "uemu"

LAYERS = (
    ("errors", "abi", "step", "events"),
    ("mm", "explore", "host"),
    ("policy", "dma", "oracle"),
    ("kernel",),
    ("live",),
    ("machine", "report", "expected"),
    ("scenario",),
    ("matrix",),
    ("claims",),
    ("cli", "pytest_plugin"),
    ("__main__",),
)
LAYER = {unit: number for number, units in enumerate(LAYERS) for unit in units}

BASE = frozenset(LAYERS[0])
ONLY = {
    "explore": (frozenset({"step", "errors"}), "never sees memory"),
    "dma": (BASE | {"mm.frames"}, "a device never looks at a page table"),
    "oracle": (BASE, "sees events only"),
    "policy": (BASE | {"mm"}, "answers the mechanism's questions and nothing else"),
}
"""Units that see less than all that is above them: what they see, and why."""

FACADE = "uemu"
"""``uemu/__init__.py``, the library as its users see it; itself exempt."""
FACADE_LAYER = LAYER["machine"]

NATIVE = "uemu._native"
"""The compiled helper. Its typed face is ``host``; nobody else touches it."""

REGISTRY = "uemu.policy.registry"


class Import(NamedTuple):
    """One import of something in uemu.

    Attributes:
        target: the module imported, as far as it is one.
        line: where.
        bound: the names it binds in the importing module.
        runs: False under ``if TYPE_CHECKING``.
    """

    target: str
    line: int
    bound: tuple[str, ...]
    runs: bool


def tree_modules() -> dict[str, Path]:
    """Every module of uemu: dotted name to file."""
    modules = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


MODULES = tree_modules()


def unit_of(module: str) -> str:
    """The unit of the table a module belongs to: ``uemu.mm.pte`` is in ``mm``."""
    return module.split(".")[1]


# Reading imports


def imports_of(module: str, source: str, known: Iterable[str]) -> list[Import]:
    """What ``module`` imports from uemu."""
    path = MODULES.get(module)
    is_package = path is not None and path.name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    reader = _Reader(package, frozenset(known))
    reader.visit(ast.parse(source))
    return reader.found


class _Reader(ast.NodeVisitor):
    def __init__(self, package: str, known: frozenset[str]) -> None:
        self.package = package
        self.known = known
        self.found: list[Import] = []
        self.runs = True

    def add(self, target: str, node: ast.AST, bound: tuple[str, ...] = ()) -> None:
        if target == FACADE or target.startswith(FACADE + "."):
            self.found.append(Import(target, getattr(node, "lineno", 0), bound, self.runs))

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test).rpartition(".")[2] != "TYPE_CHECKING":
            self.generic_visit(node)
            return
        before, self.runs = self.runs, False
        for child in node.body:
            self.visit(child)
        self.runs = before
        for child in node.orelse:
            self.visit(child)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parents = self.package.split(".")
            above = parents[: len(parents) - node.level + 1]
            base = ".".join([*above, base] if base else above)
        for alias in node.names:
            name = f"{base}.{alias.name}"
            self.add(name if name in self.known else base, node, (alias.asname or alias.name,))

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        if ast.unparse(node.func).rpartition(".")[2] in {"import_module", "__import__"}:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.JoinedStr) and first.values:
                first = first.values[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                name = first.value.rstrip(".")
                self.add(self.package + name if name.startswith(".") else name, node)


# The rules


def broken_rules(module: str, source: str, known: Iterable[str] = MODULES) -> list[str]:
    """What ``module`` imports against the table, in words."""
    if module == FACADE:
        return []
    unit = unit_of(module)
    if unit not in LAYER:
        return [f"{module}: {unit} is on no layer; give it one in the architecture and here"]
    imports = imports_of(module, source, known)
    broken = [
        f"{module}:{found.line} imports {found.target}: {why}"
        for found in imports
        for why in _objections(module, unit, found, imports, source)
    ]
    return list(dict.fromkeys(broken))


def _objections(
    module: str, unit: str, found: Import, imports: list[Import], source: str
) -> Iterator[str]:
    target = found.target
    if target == NATIVE:
        if unit != "host":
            yield "the native helper is reached through host"
        return
    if target == FACADE:
        if LAYER[unit] <= FACADE_LAYER:
            yield "the library's front is for those above it"
        return
    other = unit_of(target)
    if other not in LAYER:
        yield f"{other} is on no layer"
    elif other == unit:
        if unit == "policy":
            yield from _policy_objections(module, found, imports, source)
    elif LAYER[other] > LAYER[unit]:
        yield f"{other} stands on layer {LAYER[other]}, {unit} on layer {LAYER[unit]}"
    elif LAYER[other] == LAYER[unit]:
        yield f"siblings on layer {LAYER[unit]} do not see each other"
    elif unit in ONLY:
        allowed, why = ONLY[unit]
        inside = target.removeprefix("uemu.")
        if not any(inside == name or inside.startswith(name + ".") for name in allowed):
            yield f"{unit} {why}"
    elif (unit, other) == ("scenario", "explore"):
        yield "a scenario hands its world to whoever explores it"


def _policy_objections(
    module: str, found: Import, imports: list[Import], source: str
) -> Iterator[str]:
    """A policy sees another one only as the parent of its own class."""
    if module == REGISTRY or found.target == "uemu.policy":
        return
    names = {name for each in imports if each.target == found.target for name in each.bound}
    bases = {
        ast.unparse(base)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
        for base in node.bases
    }
    if not names & bases:
        yield "a policy imports another one only to subclass it"


def find_cycle(edges: Mapping[str, Iterable[str]]) -> list[str] | None:
    """Some cycle, as the modules along it, or None."""
    done: set[str] = set()
    path: list[str] = []

    def walk(module: str) -> list[str] | None:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return None
        path.append(module)
        for target in edges.get(module, ()):
            cycle = walk(target)
            if cycle:
                return cycle
        path.pop()
        done.add(module)
        return None

    for module in edges:
        cycle = walk(module)
        if cycle:
            return cycle
    return None


def import_graph(sources: Mapping[str, str]) -> dict[str, list[str]]:
    """Who imports whom when it runs.

    A name that is imported for the type checker alone is a forward declaration:
    it counts for the layers, but two modules of one unit may do it.
    """
    return {
        module: [found.target for found in imports_of(module, source, sources) if found.runs]
        for module, source in sources.items()
    }


# The tree obeys


@each("module", MODULES)
def test_imports_only_from_above(module: str) -> None:
    broken = broken_rules(module, MODULES[module].read_text())
    assert not broken, "\n".join(broken)


def test_no_import_cycle() -> None:
    sources = {module: path.read_text() for module, path in MODULES.items()}
    assert find_cycle(import_graph(sources)) is None


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    present = {".".join(path.parent.relative_to(ROOT).parts) for path in MODULES.values()}
    assert present <= set(listed)


# The rules bite

UP = "stands on layer"
SIBLING = "siblings"
NEGATIVE_CONTROLS = {
    "upwards": ("uemu.mm.x", "from uemu.kernel import Kernel", UP),
    "upwards, plain import": ("uemu.host.x", "import uemu.live.tracer", UP),
    "upwards, from the front": ("uemu.step", "from uemu import kernel", UP),
    "upwards, relative": ("uemu.mm.x", "from ..kernel import Kernel", UP),
    "upwards, relative to the front": ("uemu.mm.x", "from .. import kernel", UP),
    "upwards, in a function": ("uemu.mm.x", "def f():\n    import uemu.kernel", UP),
    "upwards, for types only": (
        "uemu.mm.x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from uemu.kernel import Kernel",
        UP,
    ),
    "upwards, by name": (
        "uemu.kernel",
        "import importlib\nimportlib.import_module('uemu.live.tracer')",
        UP,
    ),
    "upwards, by a name made up": (
        "uemu.kernel",
        "from importlib import import_module\nimport_module(f'uemu.cli.{x}')",
        UP,
    ),
    "siblings on layer 0": ("uemu.step", "from uemu.errors import UemuError", SIBLING),
    "siblings on layer 1": ("uemu.host.x", "from uemu.mm.pte import Pte", SIBLING),
    "siblings on layer 2": ("uemu.oracle.x", "from uemu.dma.engine import DmaEngine", SIBLING),
    "siblings on layer 5": ("uemu.report.x", "from uemu.machine import Machine", SIBLING),
    "explore sees memory": ("uemu.explore.x", "from uemu.events import PteSet", "sees memory"),
    "dma sees a page table": ("uemu.dma.x", "from uemu.mm.pte import Pte", "page table"),
    "dma sees all of mm": ("uemu.dma.x", "import uemu.mm", "page table"),
    "dma sees what begins like frames": ("uemu.dma.x", "import uemu.mm.frames2", "page table"),
    "oracle sees memory": ("uemu.oracle.x", "from uemu.mm.page import Page", "events only"),
    "policy sees the host": ("uemu.policy.x", "from uemu.host.memfd import M", "questions"),
    "policy sees a stranger": (
        "uemu.policy.x",
        "from uemu.policy.linux_5_9 import Linux5_9, copy_present_page\nclass X: ...",
        "subclass",
    ),
    "policy sees a stranger beside its parent": (
        "uemu.policy.x",
        "from uemu.policy.linux_5_9 import Linux5_9\n"
        "from uemu.policy.linux_2_6_29 import Linux2_6_29\n"
        "class X(Linux5_9): ...",
        "subclass",
    ),
    "policy sees the registry": (
        "uemu.policy.x",
        "from uemu.policy.registry import POLICIES",
        "subclass",
    ),
    "scenario sees explore": ("uemu.scenario.x", "from uemu.explore.dfs import Dfs", "hands"),
    "native helper past host": ("uemu.live.x", "from uemu._native import lib", "through host"),
    "front from below": ("uemu.live.x", "import uemu", "those above"),
    "a unit on no layer": ("uemu.util", "", "give it one"),
    "an import of a unit on no layer": ("uemu.cli.x", "import uemu.util", "on no layer"),
}


@pytest.mark.parametrize("control", NEGATIVE_CONTROLS)
def test_rejects(control: str) -> None:
    module, source, why = NEGATIVE_CONTROLS[control]
    (broken,) = broken_rules(module, source, {*MODULES, module, "uemu.kernel"})
    assert why in broken


POSITIVE_CONTROLS = {
    "downwards": ("uemu.kernel", "from uemu.policy.registry import POLICIES\nimport uemu.mm.pte"),
    "inside a unit": ("uemu.mm.x", "from uemu.mm.pte import Pte\nfrom . import page"),
    "frames for dma": ("uemu.dma.x", "from uemu.mm.frames import FrameStore\nimport uemu.abi"),
    "policy and its parent": (
        "uemu.policy.x",
        "from uemu.policy.linux_5_9 import Linux5_9, copy_present_page\nclass X(Linux5_9): ...",
    ),
    "registry": (REGISTRY, "from uemu.policy.linux_5_9 import Linux5_9"),
    "front from above": ("uemu.scenario.x", "import uemu"),
    "native helper in host": ("uemu.host.x", "from uemu._native import ffi, lib"),
    "what is not ours": ("uemu.step", "import os.path\nfrom rich import uemu\nimport uemulator"),
    "front is exempt": ("uemu", "from uemu.machine import Machine\nfrom uemu.cli import main"),
}


@pytest.mark.parametrize("control", POSITIVE_CONTROLS)
def test_accepts(control: str) -> None:
    module, source = POSITIVE_CONTROLS[control]
    assert broken_rules(module, source) == []


@pytest.mark.parametrize(
    "c",
    ["from uemu.mm import a", "def late():\n    import uemu.mm.a", "from .a import f"],
)
def test_finds_a_cycle(c: str) -> None:
    sources = {
        "uemu.mm.a": "from uemu.mm import b",
        "uemu.mm.b": "from uemu.mm.c import x",
        "uemu.mm.c": c,
    }
    assert find_cycle(import_graph(sources)) == ["uemu.mm.a", "uemu.mm.b", "uemu.mm.c", "uemu.mm.a"]


def test_a_forward_declaration_is_no_cycle() -> None:
    late = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from uemu.mm.b import B"
    assert find_cycle(import_graph({"uemu.mm.a": late, "uemu.mm.b": "import uemu.mm.a"})) is None

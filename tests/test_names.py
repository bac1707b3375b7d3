"""One name in four spellings, and a first line for whatever has a name.

``linux-2.6.29`` on the command line is ``linux_2_6_29.py``, ``class Linux2_6_29``
and ``tests/policy/test_linux_2_6_29.py``: derived, never chosen twice.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.each import each
from uemu.policy.registry import POLICIES
from uemu.scenario.registry import SCENARIOS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "uemu"

CLI_NAME = re.compile(r"[a-z][a-z0-9]*([-.][a-z0-9]+)*")
SECTIONS = "C|Linux|Measured|Source|Since|Atomic|Not modelled|Raises|Returns|See"
LONGEST = 100


def module_name(name: str) -> str:
    """``linux-2.6.29`` -> ``linux_2_6_29``."""
    return re.sub("[-.]", "_", name)


def class_name(name: str) -> str:
    """``linux-2.6.29`` -> ``Linux2_6_29``: an underscore between two numbers alone."""
    joined = "".join(word[:1].upper() + word[1:] for word in re.split("([-.])", name))
    return re.sub("[-.]", "", re.sub(r"(?<=\d)[-.](?=\d)", "_", joined))


def modules_in(package: Path) -> set[str]:
    """The modules of a package that stand for something a user can name."""
    helpers = {"__init__", "registry"}
    stems = {path.stem for path in package.glob("*.py")}
    return {stem for stem in stems - helpers if not stem.startswith("_")}


# Policies and scenarios


@pytest.mark.parametrize(
    ("name", "module", "cls"),
    [
        ("linux-2.6.29", "linux_2_6_29", "Linux2_6_29"),
        ("linux-6.5", "linux_6_5", "Linux6_5"),
        ("linux-2.4-dio-pglock", "linux_2_4_dio_pglock", "Linux2_4DioPglock"),
        ("arcangeli-2009-v2", "arcangeli_2009_v2", "Arcangeli2009V2"),
        ("piggin-2009-page", "piggin_2009_page", "Piggin2009Page"),
        ("hildenbrand-2021-model1", "hildenbrand_2021_model1", "Hildenbrand2021Model1"),
    ],
)
def test_spellings(name: str, module: str, cls: str) -> None:
    assert (module_name(name), class_name(name)) == (module, cls)


@each("name", POLICIES)
def test_policy_has_one_name(name: str) -> None:
    assert CLI_NAME.fullmatch(name)
    policy = POLICIES[name]
    assert policy.__module__ == f"uemu.policy.{module_name(name)}"
    assert policy.__name__ == class_name(name)
    assert (ROOT / "tests" / "policy" / f"test_{module_name(name)}.py").is_file()


def test_every_policy_file_is_registered() -> None:
    assert modules_in(PACKAGE / "policy") == {module_name(name) for name in POLICIES}


@each("name", SCENARIOS)
def test_scenario_has_one_name(name: str) -> None:
    assert CLI_NAME.fullmatch(name)
    assert (PACKAGE / "scenario" / f"{module_name(name)}.py").is_file()


def test_every_scenario_file_is_registered() -> None:
    defining = {
        path.stem
        for path in (PACKAGE / "scenario").glob("*.py")
        if re.search(r"^SCENARIO\b", path.read_text(), re.MULTILINE)
    }
    assert defining == {module_name(name) for name in SCENARIOS}


# Docstrings


def public_nodes(tree: ast.Module, path: Path) -> Iterator[tuple[str, ast.AST, str | None]]:
    """(qualified name, node, name of the class it is a method of) of what a reader may use."""
    if not any(part.startswith("_") for part in path.with_suffix("").parts if part != "__init__"):
        yield "module", tree, None
        yield from _public_in(tree, "", None)


def _public_in(
    parent: ast.Module | ast.ClassDef, prefix: str, cls: str | None
) -> Iterator[tuple[str, ast.AST, str | None]]:
    for node in parent.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not node.name.startswith("_"):
            yield prefix + node.name, node, cls
            if isinstance(node, ast.ClassDef):
                yield from _public_in(node, f"{prefix}{node.name}.", prefix + node.name)


def may_lack_docstring(node: ast.AST) -> bool:
    """A stub whose body is ``...``, or the second half of a property."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    decorators = {ast.unparse(each).rpartition(".")[2] for each in node.decorator_list}
    is_stub = len(node.body) == 1 and ast.unparse(node.body[0]) == "..."
    return is_stub or bool(decorators & {"setter", "deleter"})


def docstring_fault(docstring: str) -> str | None:
    """What is wrong with a docstring's first line, if anything."""
    first = docstring.split("\n", 1)[0]
    if not first.strip():
        return "the first line is empty"
    if len(first) > LONGEST:
        return f"the first line has more than {LONGEST} columns: {first!r}"
    # A section may share the line: """A flag. Linux: VM_DONTCOPY."""
    sentence = re.split(rf"(?<=\.) (?=(?:{SECTIONS})\b)", first)[0]
    if not sentence.endswith("."):
        return f"the first line does not end in a period: {first!r}"
    # The period of an initial (L. Torvalds) ends nothing.
    if re.search(r"(?<!\b[A-Z])[.!?] [A-Z]", sentence):
        return f"the first line is more than one sentence: {first!r}"
    return None


def inherits_docstring(module: str, cls: str, method: str) -> bool:
    """Whether a base class documents the method already."""
    found: object = importlib.import_module(module)
    for name in cls.split("."):
        found = getattr(found, name)
    assert isinstance(found, type)
    return any(getattr(vars(base).get(method), "__doc__", None) for base in found.__mro__[1:])


def docstring_faults(path: Path, source: str) -> list[str]:
    """What is wrong in one file of uemu; ``path`` is relative to the package."""
    faults = []
    for name, node, cls in public_nodes(ast.parse(source), path):
        assert isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        docstring = ast.get_docstring(node)
        where = f"uemu/{path}:{getattr(node, 'lineno', 1)} {name}"
        if docstring is not None:
            fault = docstring_fault(docstring)
            if fault:
                faults.append(f"{where}: {fault}")
        elif not may_lack_docstring(node):
            parts = [part for part in path.with_suffix("").parts if part != "__init__"]
            module = ".".join(["uemu", *parts])
            is_method = cls is not None and not isinstance(node, ast.ClassDef)
            if not is_method or not inherits_docstring(module, str(cls), name.rpartition(".")[2]):
                faults.append(f"{where}: no docstring")
    return faults


FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


@each("path", FILES)
def test_docstrings(path: Path) -> None:
    faults = docstring_faults(path, (PACKAGE / path).read_text())
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("x = 1", "module: no docstring"),
        ('"""X."""\ndef f(): pass', "f: no docstring"),
        ('"""X."""\nclass C:\n    """C."""\n    class D: pass', "C.D: no docstring"),
        ('"""X"""', "period"),
        ('"""\n    X.\n    """\ndef f(): "What?"', "period"),
        ('"""One thing. And another."""', "more than one sentence"),
        (f'"""{"x" * LONGEST}."""', "columns"),
    ],
)
def test_rejects_docstring(source: str, fault: str) -> None:
    (found,) = docstring_faults(Path("made_up.py"), source)
    assert fault in found


@pytest.mark.parametrize(
    "source",
    [
        '"""X."""',
        '"""A page of mm. Linux: struct page of include/linux/mm_types.h."""',
        '"""X 2.6.29, as L. Torvalds has it."""\ndef _private(): pass\nclass _C: pass',
        '"""X."""\nclass C:\n    """C."""\n    def __init__(self): pass\n    def f(self): ...',
    ],
)
def test_accepts_docstring(source: str) -> None:
    assert docstring_faults(Path("made_up.py"), source) == []

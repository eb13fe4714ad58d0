"""What the house must not know: a kind of program is one folder and one line of registration (spec 02 §2)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "ergo_cli"
KINDS = re.compile(r"kernel|KernelProgram|GraphProgram|\bplan program|\bpipeline program", re.IGNORECASE)
KIND_TEXTS = {"graph", "kernel", "plan", "pipeline"}
KNOWS = ("programs", "testing")


def modules() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        place = file.relative_to(PACKAGE)
        if place.parts[0] not in KNOWS and "init_template" not in place.parts:
            yield place.as_posix(), ast.parse(file.read_bytes())


def without_docstrings(module: ast.Module) -> ast.Module:
    for node in ast.walk(module):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_text(each)] or [ast.Pass()]  # type: ignore[attr-defined]
    return module


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def test_no_room_outside_programs_names_a_kind():
    code = {place: ast.unparse(without_docstrings(module)) for place, module in modules()}
    assert len(code) > 80
    named = [place for place, text in code.items() if KINDS.search(text)]
    assert named == []


def test_no_room_outside_programs_asks_for_a_kind_by_its_name():
    """A comparison with the text of a kind's name is a switch over kinds."""
    switches = [
        f"{place}:{node.lineno}"
        for place, module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Compare | ast.MatchValue)
        for text in ast.walk(node)
        if isinstance(text, ast.Constant) and text.value in KIND_TEXTS
    ]
    assert switches == [f"report/command_result.py:{line}" for line in _commands()]


def _commands() -> list[int]:
    """The one other thing called so: the command ``ergo graph``."""
    text = (PACKAGE / "report" / "command_result.py").read_text()
    return [number for number, line in enumerate(text.splitlines(), 1) if 'case "graph"' in line]


def test_no_module_imports_in_a_circle():
    """Imports for type checking count, and those inside functions."""
    names = {_name(file): file for file in PACKAGE.rglob("*.py") if "init_template" not in file.parts}
    graph = {name: sorted(_imported(file, names)) for name, file in names.items()}
    assert [circle for circle in _circles(graph) if len(circle) > 1] == []


def _name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(file: Path, names: dict[str, Path]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module in names:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & names.keys()) or {node.module}
    return found - {_name(file), "ergo_cli"}


def _circles(graph: dict[str, list[str]]) -> list[list[str]]:
    """Strongly connected components (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            place = stack.index(name)
            found.append(sorted(stack[place:]))
            del stack[place:]

    for name in graph:
        if name not in index:
            visit(name)
    return found


def test_no_pattern_repeats_alternatives_possessively() -> None:
    """Python before 3.11.5 misreads a possessive group with alternatives of several characters."""
    possessive = re.compile(r"\([^()]*\|[^()]*\)[*+?]\+")
    # one character, or an escape: both are sound
    single = re.compile(r'\((\?:)?\[\^"\\\\(\\x00-\\x1f)?\]\|\\\\\.\)\*\+')
    found = [
        f"{path.name}: {match[0]}"
        for path in PACKAGE.rglob("*.py")
        for match in possessive.finditer(path.read_text())
        if single.fullmatch(match[0]) is None
    ]
    assert not found

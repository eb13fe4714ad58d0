"""Which files of a program changed since a capture; of one in Python also whether it can matter (spec 00 §2)."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from ergo_cli.core.documents import ProgramSource

LARGEST_COMPARED = 1024 * 1024
"""How many characters a file may have to be compared by its syntax tree; larger ones are just named."""

_IDLE = "comments, blank lines or docstrings only"
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def source_changes(recorded: Sequence[ProgramSource], today: Sequence[ProgramSource]) -> tuple[str, ...]:
    """One line for each file that differs, by path; one line where none does, or where no difference can matter."""
    changes = dict(_changes(recorded, today))
    lines = tuple(f"{path}: {change}" for path, change in changes.items())
    if not lines:
        return ("no file of the program changed: its name or its version did",)
    if set(changes.values()) == {f"changed, {_IDLE}"}:
        return (*lines, "no statement changed: capture again to take the new text over")
    return lines


def graph_changes(
    recorded: Sequence[ProgramSource], today: Sequence[ProgramSource], files: Mapping[str, str]
) -> tuple[str, ...]:
    """One line for each file of a graph that differs; one line where none does.

    ``files`` names the file of each of today's texts but the adapter. A cluster of another version in the place of the
    recorded one is a changed file.
    """
    before, after = ({source.path: source for source in sources} for sources in (recorded, today))
    gone = {_part(path): path for path in before if path not in after and not path.startswith("adapter.")}
    lines: list[str] = []
    for path, file in files.items():
        old = before.get(path) or before.get(gone.pop(_part(path), ""))
        if old is None:
            lines.append(f"{file}: new")
        elif old.sha256 != after[path].sha256:
            lines.append(f"{file}: changed")
    lines += (f"{path}: no longer part of the program" for path in gone.values())
    return tuple(lines) or ("no file of the graph changed: the contract of one of its primitives did",)


def _part(path: str) -> str:
    """What a text of a graph is, whatever its version and its form: ``graph``, ``clusters/smooth``."""
    return path.rpartition("@")[0] or path.rpartition(".")[0]


def _changes(recorded: Sequence[ProgramSource], today: Sequence[ProgramSource]) -> Iterator[tuple[str, str]]:
    before, after = ({source.path: source for source in sources} for sources in (recorded, today))
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            yield path, "no longer part of the program"
        elif path not in before:
            yield path, "new"
        elif before[path].sha256 != after[path].sha256:
            idle = _same_statements(before[path].text, after[path].text)
            yield path, f"changed, {_IDLE}" if idle else "changed"


def _same_statements(a: str, b: str) -> bool:
    if max(len(a), len(b)) > LARGEST_COMPARED:
        return False
    try:
        return _statements(a) == _statements(b)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _statements(text: str) -> str:
    """The syntax tree without places and docstrings, as a text."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree)

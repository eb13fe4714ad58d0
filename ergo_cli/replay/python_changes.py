"""What changed in the Python files of a program: functions, classes and constants, comments apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from copy import copy

from msgspec import Struct

from ergo_cli.core.documents import ProgramSource
from ergo_cli.programs.changes import Change, Verb

LARGEST_COMPARED = 1024 * 1024
"""How many characters a file may have to be compared by its syntax tree; of larger ones only the file is named."""

_IDLE = "comments, blank lines or docstrings only"
_LONGEST_VALUE = 40
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def python_changes(recorded: Sequence[ProgramSource], today: Sequence[ProgramSource]) -> list[Change]:
    """The differences of all files, by path; within a file in the order of today's lines, then what is gone."""
    before, after = ({source.path: source for source in sources} for sources in (recorded, today))
    return [
        change
        for path in sorted(before.keys() | after.keys())
        for change in _file_changes(path, before.get(path), after.get(path))
    ]


def _file_changes(path: str, before: ProgramSource | None, after: ProgramSource | None) -> Iterator[Change]:
    if before is None or after is None:
        verb = Verb.ADDED if before is None else Verb.REMOVED
        yield Change(subject="the file", verb=verb, file=path)
    elif before.sha256 != after.sha256:
        yield from _text_changes(path, before.text, after.text)


def _text_changes(path: str, before: str, after: str) -> Iterator[Change]:
    old, new = _parsed(before), _parsed(after)
    if old is None or new is None:
        yield Change(subject="the file", file=path)
        return
    changes = [*_part_changes(path, _parts(old), _parts(new))]
    yield from changes or [Change(subject=_IDLE, file=path, idle=True)]


def _parsed(text: str) -> ast.Module | None:
    """The syntax tree without docstrings; None for a text that is too large, or that Python cannot read."""
    if len(text) > LARGEST_COMPARED:
        return None
    try:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
        ast.dump(tree)  # the comparisons below go no deeper than this
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree


class _Part(Struct, frozen=True):
    """A definition of a file, or the statements that are none."""

    nodes: tuple[ast.AST, ...]
    text: str

    @property
    def line(self) -> int | None:
        return next((getattr(node, "lineno", None) for node in self.nodes), None)


def _parts(tree: ast.Module) -> Mapping[str, _Part]:
    """The definitions of a module by name: ``step``, ``Basket.add``, ``LIMIT``; all other statements as one part."""
    found: dict[str, list[ast.AST]] = {}
    for name, node in _definitions(tree.body, ""):
        found.setdefault(name, []).append(node)
    return {name: _Part(tuple(nodes), "\n".join(map(ast.dump, nodes))) for name, nodes in found.items()}


def _definitions(body: Sequence[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield prefix + name, statement
            case ast.ClassDef(name=name):
                yield prefix + name, _heading(statement)
                yield from _definitions(statement.body, f"{prefix}{name}.")
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield prefix + name, statement
            case ast.Pass():
                continue
            case _:
                yield prefix.rstrip("."), statement


def _heading(node: ast.ClassDef) -> ast.ClassDef:
    """A class without its body: name, bases and decorators."""
    heading = copy(node)
    heading.body = []
    return heading


def _part_changes(path: str, before: Mapping[str, _Part], after: Mapping[str, _Part]) -> Iterator[Change]:
    for name, part in after.items():
        old = before.get(name)
        if old is None:
            yield Change(subject=_subject(name), verb=Verb.ADDED, file=path, line=part.line)
        elif old.text != part.text:
            yield _changed(path, name, old, part)
    for name in before:
        if name not in after:
            yield Change(subject=_subject(name), verb=Verb.REMOVED, file=path)


def _changed(path: str, name: str, before: _Part, after: _Part) -> Change:
    """A part that differs, at its first line that does; with both values where one short expression is another."""
    old, new = _first_difference(before.nodes, after.nodes)
    values = _values(old, new)
    inside = len(after.nodes) == 1 and isinstance(after.nodes[0], _FUNCTIONS)
    return Change(
        subject=f"in {name}" if inside else _subject(name),
        before=values and values[0],
        after=values and values[1],
        file=path,
        line=_line_of(new) or after.line,
    )


def _subject(name: str) -> str:
    return name or "code outside functions"


def _first_difference(before: Sequence[ast.AST], after: Sequence[ast.AST]) -> tuple[ast.AST | None, ast.AST | None]:
    """The smallest pair of parts that holds every difference, or the first of several statements that differ.

    A side is None where the other has more statements.
    """
    pairs = _different(before, after)
    if pairs and len(before) == len(after):
        return _narrowed(*pairs[0])
    if pairs:
        return None, pairs[0][1]
    return None, after[len(before)] if len(after) > len(before) else None


def _narrowed(old: ast.AST, new: ast.AST) -> tuple[ast.AST | None, ast.AST]:
    if type(old) is not type(new):
        return old, new
    ours, theirs = list(ast.iter_child_nodes(old)), list(ast.iter_child_nodes(new))
    pairs = _different(ours, theirs)
    are_statements = bool(pairs) and all(isinstance(node, ast.stmt) for pair in pairs for node in pair)
    if len(ours) != len(theirs):
        return (None, pairs[0][1]) if are_statements else (old, new)
    return _narrowed(*pairs[0]) if len(pairs) == 1 or are_statements else (old, new)


def _different(before: Sequence[ast.AST], after: Sequence[ast.AST]) -> list[tuple[ast.AST, ast.AST]]:
    """The pairs of nodes in the same places that differ."""
    return [(old, new) for old, new in zip(before, after, strict=False) if ast.dump(old) != ast.dump(new)]


def _values(old: ast.AST | None, new: ast.AST | None) -> tuple[str, str] | None:
    """Both expressions as texts, where both are short ones."""
    if not isinstance(old, ast.expr) or not isinstance(new, ast.expr):
        return None
    try:
        before, after = ast.unparse(old), ast.unparse(new)
    except RecursionError:
        return None
    return (before, after) if max(len(before), len(after)) <= _LONGEST_VALUE and before != after else None


def _line_of(node: ast.AST | None) -> int | None:
    return getattr(node, "lineno", None)

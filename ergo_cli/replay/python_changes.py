"""What changed in the Python files of a program: functions, classes and constants, comments apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from ergo_cli.core.documents import ProgramSource
from ergo_cli.programs.changes import Change, Verb
from ergo_cli.replay.python_parts import Part, parsed, parts_of

_IDLE = "comments, blank lines or docstrings only"
_LONGEST_VALUE = 40
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def python_changes(recorded: Sequence[ProgramSource], today: Sequence[ProgramSource]) -> list[Change]:
    """The differences of all files, by path; within a file in the order of today's lines, then what is gone."""
    return [change for _, change in part_changes(recorded, today)]


def part_changes(
    recorded: Sequence[ProgramSource], today: Sequence[ProgramSource]
) -> Iterator[tuple[str | None, Change]]:
    """As ``python_changes``, each with the name of its part; None for one of a whole file."""
    before, after = ({source.path: source for source in sources} for sources in (recorded, today))
    for path in sorted(before.keys() | after.keys()):
        yield from _file_changes(path, before.get(path), after.get(path))


def _file_changes(
    path: str, before: ProgramSource | None, after: ProgramSource | None
) -> Iterator[tuple[str | None, Change]]:
    if before is None or after is None:
        verb = Verb.ADDED if before is None else Verb.REMOVED
        yield None, Change(subject="the file", verb=verb, file=path)
    elif before.sha256 != after.sha256:
        yield from _text_changes(path, before.text, after.text)


def _text_changes(path: str, before: str, after: str) -> Iterator[tuple[str | None, Change]]:
    old, new = parsed(before), parsed(after)
    if old is None or new is None:
        yield None, Change(subject="the file", file=path)
        return
    changes = [*_part_changes(path, parts_of(old), parts_of(new))]
    yield from changes or [(None, Change(subject=_IDLE, file=path, idle=True))]


def _part_changes(path: str, before: Mapping[str, Part], after: Mapping[str, Part]) -> Iterator[tuple[str, Change]]:
    for name, part in after.items():
        old = before.get(name)
        if old is None:
            yield name, Change(subject=_subject(name), verb=Verb.ADDED, file=path, line=part.line)
        elif old.text != part.text:
            yield name, _changed(path, name, old, part)
    for name in before:
        if name not in after:
            yield name, Change(subject=_subject(name), verb=Verb.REMOVED, file=path)


def _changed(path: str, name: str, before: Part, after: Part) -> Change:
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

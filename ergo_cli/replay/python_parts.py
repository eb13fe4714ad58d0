"""The parts of a Python file: its definitions by name, and the statements that are none (spec 70 §2)."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from copy import copy

from msgspec import Struct

LARGEST_COMPARED = 1024 * 1024
"""How many characters a file may have to be compared by its syntax tree; of larger ones only the file is named."""

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def parsed(text: str) -> ast.Module | None:
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


class Part(Struct, frozen=True):
    """A definition of a file, or the statements that are none."""

    nodes: tuple[ast.AST, ...]
    text: str

    def holds(self, line: int) -> bool:
        """Whether a line of the file is in it, its decorators included."""
        return any(_first_line(node) <= line <= (getattr(node, "end_lineno", None) or 0) for node in self.nodes)

    @property
    def line(self) -> int | None:
        """Its first line; None of an empty file."""
        return next((getattr(node, "lineno", None) for node in self.nodes), None)


def parts_of(tree: ast.Module) -> Mapping[str, Part]:
    """The definitions of a module by name: ``step``, ``Basket.add``, ``LIMIT``; all other statements as one part."""
    found: dict[str, list[ast.AST]] = {}
    for name, node in _definitions(tree.body, ""):
        found.setdefault(name, []).append(node)
    return {name: Part(tuple(nodes), "\n".join(map(ast.dump, nodes))) for name, nodes in found.items()}


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


def _first_line(node: ast.AST) -> int:
    decorators: Sequence[ast.AST] = getattr(node, "decorator_list", ())
    return min((line for each in (*decorators, node) if (line := getattr(each, "lineno", None)) is not None), default=1)

"""Where the parts of a program written in Python stand in its texts, as far as these show it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from msgspec import Struct

from ergo_cli.core.documents import ProgramSource
from ergo_cli.programs.parts import Part
from ergo_cli.replay.python_parts import parsed

Place = tuple[str, int]
"""A file and a line of it."""


class _Written(Struct, frozen=True):
    """A node of a syntax tree, and its file."""

    file: str
    node: ast.expr

    @property
    def place(self) -> Place:
        return self.file, self.node.lineno


class WrittenPlaces:
    """Finds the calls that make parts, the pairs of names that are edges, and the arguments that are settings.

    What is written several times, or not as it is here, has no place.
    """

    def __init__(self, sources: Sequence[ProgramSource]) -> None:
        self._sources = sources

    def part(self, part: Part) -> Place | None:
        """The call that makes a part: ``State("main.a", …)``."""
        found = self._call(part)
        return None if found is None else found.place

    def edge(self, new: Sequence[str], part: Part) -> Place | None:
        """The pair of names that is a new edge to a part; of several the first; without one the part."""
        places = (self._pairs.get((name, part.name)) for name in new)
        return next(filter(None, places), None) or self.part(part)

    def field(self, part: Part, field: str) -> Place | None:
        """The argument that is a setting of a part, in the call that makes it, or anywhere if no call makes it."""
        call, name = self._call(part), field.rpartition(".")[2]
        found = self._arguments.get(name, ()) if call is None else [*_arguments(call, name)]
        if len(found) == 1:
            return found[0]
        return None if call is None else call.place

    def _call(self, part: Part) -> _Written | None:
        named = self._calls.get(part.name, ())
        made = [each for each in named if _called(each.node) == part.sort]
        found = made or named
        return found[0] if len(found) == 1 else None

    @cached_property
    def _calls(self) -> Mapping[str, Sequence[_Written]]:
        """The calls by their first text."""
        found: dict[str, list[_Written]] = {}
        for file, node in self._nodes:
            text = _first_text(node) if isinstance(node, ast.Call) else None
            if text is not None and isinstance(node, ast.Call):
                found.setdefault(text, []).append(_Written(file, node))
        return found

    @cached_property
    def _pairs(self) -> Mapping[tuple[str, str], Place]:
        """The first place of each pair of texts."""
        found: dict[tuple[str, str], Place] = {}
        for file, node in self._nodes:
            pair = _texts(node)
            if pair is not None:
                found.setdefault(pair, (file, getattr(node, "lineno", 0)))
        return found

    @cached_property
    def _arguments(self) -> Mapping[str, Sequence[Place]]:
        """The places of named arguments by their names."""
        found: dict[str, list[Place]] = {}
        for file, node in self._nodes:
            if isinstance(node, ast.keyword) and node.arg is not None:
                found.setdefault(node.arg, []).append((file, node.value.lineno))
        return found

    @cached_property
    def _nodes(self) -> Sequence[tuple[str, ast.AST]]:
        trees = ((source.path, parsed(source.text)) for source in self._sources)
        return [(path, node) for path, tree in trees if tree is not None for node in ast.walk(tree)]


def _arguments(call: _Written, name: str) -> Iterator[Place]:
    """The arguments of a name in a call, and in the calls within it."""
    for node in ast.walk(call.node):
        if isinstance(node, ast.keyword) and node.arg == name:
            yield call.file, node.value.lineno


def _texts(pair: ast.AST) -> tuple[str, str] | None:
    match pair:
        case (
            ast.Tuple(elts=[ast.Constant(value=str(one)), ast.Constant(value=str(other))])
            | ast.List(elts=[ast.Constant(value=str(one)), ast.Constant(value=str(other))])
        ):
            return one, other
        case _:
            return None


def _first_text(call: ast.Call) -> str | None:
    """The first argument of a call, if it is a text."""
    match call:
        case ast.Call(args=[ast.Constant(value=str(text)), *_]):
            return text
        case ast.Call(keywords=[ast.keyword(value=ast.Constant(value=str(text))), *_]):
            return text
        case _:
            return None


def _called(call: ast.expr) -> str | None:
    """The name that is called, in lower case."""
    match call:
        case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
            return name.lower()
        case _:
            return None

"""What changed in the code of a graph's own primitives, and the nodes that it can decide in (spec 70 §2)."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import PurePath

from msgspec.structs import replace

from ergo_cli.core.code_places import CodePlace
from ergo_cli.core.documents import ProgramSource
from ergo_cli.programs.changes import Change
from ergo_cli.replay.python_changes import part_changes
from ergo_cli.replay.python_parts import Part, parsed, parts_of

Spot = tuple[str, str]
"""A file, and a part of it by name; the empty name is that of its statements outside definitions."""


def primitive_changes(
    recorded: Sequence[ProgramSource], today: Sequence[ProgramSource], own: Mapping[str, CodePlace]
) -> list[Change]:
    """As ``python_changes``, each with the nodes whose code it is in, or whose code refers to it, however far.

    ``own`` says where the code of each node is written today.
    """
    changes = list(part_changes(recorded, today))
    if not changes:
        return []
    code = _Code(today)
    spots = {node: code.behind(place) for node, place in own.items()}
    return [change if change.idle else replace(change, nodes=_nodes(spots, name, change)) for name, change in changes]


def declared_places(sources: Sequence[ProgramSource], names: Mapping[str, str]) -> Mapping[str, CodePlace]:
    """Where the code of nodes is written, by the decorators that name their primitives; ``names`` are these names."""
    places = dict(place for source in sources for place in _declared(source))
    return {node: places[name] for node, name in names.items() if name in places}


def _declared(source: ProgramSource) -> Iterator[tuple[str, CodePlace]]:
    """The functions of a text with a decorator whose first argument is a text, by that text."""
    tree = parsed(source.text)
    for node in () if tree is None else ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for each in node.decorator_list:
                match each:
                    case ast.Call(args=[ast.Constant(value=str(name)), *_]):
                        yield name, CodePlace(source.path, node.lineno, node.name)
                    case _:
                        continue


def _nodes(spots: Mapping[str, frozenset[Spot]], name: str | None, change: Change) -> tuple[str, ...]:
    """The nodes behind whose code a part stands; of a change to a whole file, any of its parts."""
    return tuple(
        node
        for node, behind in spots.items()
        if any(file == change.file and name in (part, None) for file, part in behind)
    )


class _Code:
    """Python files by their paths; which part refers to which."""

    def __init__(self, sources: Sequence[ProgramSource]) -> None:
        trees = {source.path: parsed(source.text) for source in sources}
        self._parts: Mapping[str, Mapping[str, Part]] = {
            path: {} if tree is None else parts_of(tree) for path, tree in trees.items()
        }
        self._imports = {path: () if tree is None else tuple(_imports(path, tree)) for path, tree in trees.items()}
        self._behind = cache(self._followed)

    def behind(self, place: CodePlace) -> frozenset[Spot]:
        """All that a function refers to, itself included; of one that cannot be found, its file."""
        file = self._file(place)
        return frozenset() if file is None else self._behind(file, self._name(file, place))

    def _file(self, place: CodePlace) -> str | None:
        path = PurePath(place.file).as_posix()
        return max((each for each in self._parts if f"/{path}".endswith(f"/{each}")), key=len, default=None)

    def _name(self, file: str, place: CodePlace) -> str | None:
        parts = self._parts[file]
        if place.function and place.function in parts:
            return place.function
        return max((name for name, part in parts.items() if name and part.holds(place.line)), key=len, default=None)

    def _followed(self, file: str, name: str | None) -> frozenset[Spot]:
        found, waiting = set[Spot](), [(file, name)] if name is not None else [*self._whole(file)]
        while waiting:
            spot = waiting.pop()
            if spot not in found:
                found.add(spot)
                waiting += self._referred(spot)
        return frozenset(found)

    def _whole(self, file: str) -> Iterator[Spot]:
        yield file, ""
        yield from ((file, name) for name in self._parts[file])

    def _referred(self, spot: Spot) -> Iterator[Spot]:
        """The parts that a part names, in its file and in those that it imports; always what stands outside them."""
        file, name = spot
        yield file, ""
        part = self._parts[file].get(name)
        for used in _names(part) if part is not None else ():
            yield from self._named(file, used)
        yield from (each for bound, path, _ in self._imports[file] if bound == "*" for each in self._in(path, None))

    def _named(self, file: str, used: str) -> Iterator[Spot]:
        for name in self._parts[file]:
            if name == used or name.startswith(f"{used}.") or name.rpartition(".")[2] == used:
                yield file, name
        yield from (
            each for bound, path, inside in self._imports[file] if bound == used for each in self._in(path, inside)
        )

    def _in(self, module: str, name: str | None) -> Iterator[Spot]:
        """What an import of ``name`` from a module brings in; of a module by itself, all of it."""
        file = self._files.get(module)
        if file is not None and name is not None and name in self._parts[file]:
            yield from self._named(file, name)
        elif name is not None and f"{module}.{name}" in self._files:
            yield from self._whole(self._files[f"{module}.{name}"])
        elif file is not None:
            yield from self._whole(file)

    @cached_property
    def _files(self) -> Mapping[str, str]:
        return {_module(path): path for path in self._parts}


def _names(part: Part) -> set[str]:
    """The names and members that a part mentions."""
    nodes = [node for each in part.nodes for node in ast.walk(each)]
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.attr for node in nodes if isinstance(node, ast.Attribute)
    }


def _imports(path: str, tree: ast.Module) -> Iterator[tuple[str, str, str | None]]:
    """The names that a file binds by importing, each with the module and the name in it; ``*`` for all of a module."""
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield alias.asname or alias.name.partition(".")[0], alias.name, None
        elif isinstance(statement, ast.ImportFrom):
            package = _module(path).split(".") if path.endswith("__init__.py") else _module(path).split(".")[:-1]
            above = package[: len(package) - statement.level + 1] if statement.level else []
            module = ".".join([*above, *([statement.module] if statement.module else [])])
            for alias in statement.names:
                yield alias.asname or alias.name, module, None if alias.name == "*" else alias.name


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

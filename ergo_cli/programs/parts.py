"""The structure of a program written in Python as plain data, which a capture keeps and a replay compares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from hashlib import sha256
from typing import Any, Protocol, cast, runtime_checkable

from msgspec import Struct

from ergo_cli.core.json import free_text
from ergo_cli.programs.recorded import JournalDifference

_LONGEST = 200


Reach = Callable[[str | None, JournalDifference | None], Set[str]]
"""The nodes that a difference at a node can come from, its own part among them, even one that is gone.

The difference is one in a journal, None for any other; without node nothing is known of its place.
"""


class PlainPart(Struct, frozen=True):
    """What is kept of a part: what sort of part it is, its name, the parts that edges put before it, its settings.

    ``fields`` are texts, as reports show them; a setting without value has none.
    """

    sort: str
    name: str
    after: tuple[str, ...] = ()
    fields: Mapping[str, str] = {}


class Part(PlainPart, frozen=True):
    """A part of today's program.

    ``functions`` are those that run in it. ``nodes`` are the parts, as differences name them, that it decides in, and
    ``idle`` the names of the fields that can decide nothing.
    """

    nodes: tuple[str, ...] = ()
    functions: tuple[object, ...] = ()
    idle: Set[str] = frozenset()

    @property
    def plain(self) -> PlainPart:
        """What is kept of it."""
        return PlainPart(self.sort, self.name, self.after, self.fields)


@runtime_checkable
class SaysParts(Protocol):
    """An ``Acting`` of a kind whose programs have parts."""

    def structure(self, program: Any) -> Sequence[Part]:
        """The parts of a program in the order of its author. Raises ErgoError for one that cannot run."""
        ...

    def reach(self, program: Any) -> Reach:
        """Which nodes the differences of a program can come from."""
        ...


def texts_of(values: Mapping[str, object]) -> dict[str, str]:
    """Plain values as texts, members of objects by their paths; None is left out, of a long text its digest is kept."""
    return {path: _text(leaf) for name, value in values.items() for path, leaf in _leaves(name, value)}


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    match value:
        case None:
            return
        case dict() if value:
            for name, member in cast("dict[str, object]", value).items():
                yield from _leaves(f"{path}.{name}", member)
        case _:
            yield path, value


def _text(value: object) -> str:
    text = free_text(value)
    return text.decode() if len(text) <= _LONGEST else f"sha256:{sha256(text).hexdigest()}"

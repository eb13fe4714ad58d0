"""Identifiers of flows, stages, journals and events: ULIDs, and where new ones come from (spec 60 §2.1, §23.2)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from typing import ClassVar, Protocol, Self, TypeVar

from msgspec import Struct

from ergo_cli.core.wire import FreeValue, WireForm

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_ULID = re.compile(rf"[0-7][{_ALPHABET}]{{25}}")
_SIZE = 16
_RANDOM_SIZE = 10


class IdError(ValueError):
    """A text is not the identifier that it should be."""


class Ulid(str, WireForm):
    """128 bits as 26 characters in upper case; other spellings are normalised when they are read.

    A first character of 8 to Z, which stands for more than 128 bits, is refused (§28).
    """

    __slots__ = ()

    what: ClassVar[str]
    """What the id names: the word in the digest of a captured run's ids."""

    prefix: ClassVar[str] = ""
    """What stands before the id in file names, clock keys and texts."""

    @property
    def display(self) -> str:
        """The form of file names, clock keys and texts: ``stage_01KB…``."""
        return f"{self.prefix}{self}"

    def to_wire(self) -> FreeValue:
        """The 26 characters."""
        return str(self)

    @classmethod
    def from_wire(cls, value: FreeValue) -> Self:
        """The id of 26 characters; the prefixed form is refused. Raises IdError."""
        text = value.upper() if isinstance(value, str) and value.isascii() else ""
        if _ULID.fullmatch(text) is None:
            raise IdError(f"expected a ULID of a {cls.what}, got {value!r}")
        return cls(text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The id that a text names, with or without its prefix. Raises IdError."""
        return cls.from_wire(text.removeprefix(cls.prefix))

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The id of 16 bytes, big-endian."""
        number = int.from_bytes(data)
        return cls("".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)]))

    @classmethod
    def digest_of(cls, text: str) -> Self:
        """The id made of the first 16 bytes of a text's SHA-256."""
        return cls.of(sha256(text.encode()).digest()[:_SIZE])


class EventId(Ulid):
    """An event, the same in every journal that it is copied to."""

    __slots__ = ()
    what = "event"


class StageId(Ulid):
    """A stage of a flow."""

    __slots__ = ()
    what = "stage"
    prefix = "stage_"


class SystemId(Ulid):
    """A part of a flow that is not a stage: its supervisor."""

    __slots__ = ()
    what = "system"
    prefix = "system_"


class FlowId(Ulid):
    """A flow; records hold its display form."""

    __slots__ = ()
    what = "flow"
    prefix = "flow_"


class JournalId(Ulid):
    """A journal."""

    __slots__ = ()
    what = "journal"


class StageWriter(Struct, frozen=True, tag_field="type", tag="Stage"):
    """A stage as the writer of an event: ``{"type":"Stage","id":…}``."""

    id: StageId

    @property
    def display(self) -> str:
        """The key of this writer in vector clocks."""
        return f"writer_{self.id.display}"


class SystemWriter(Struct, frozen=True, tag_field="type", tag="System"):
    """A supervisor as the writer of an event: ``{"type":"System","id":…}``."""

    id: SystemId

    @property
    def display(self) -> str:
        """The key of this writer in vector clocks."""
        return f"writer_{self.id.display}"


WriterId = StageWriter | SystemWriter

IdT = TypeVar("IdT", bound=Ulid)


class IdSource(Protocol):
    """Where new ids come from."""

    def mint(self, kind: type[IdT]) -> IdT:
        """A new id of this class."""
        ...


def counted_id(kind: type[IdT], graph_id: str, number: int) -> IdT:
    """The id of the thing of this number, from 0, among those of its kind: a digest that names the graph (§23.2)."""
    return kind.digest_of(f"ergo.pipeline:{kind.what}:{graph_id}:{number}")


class CountedIds:
    """The ids of a captured run: counted from 0 for each kind of thing."""

    def __init__(self, graph_id: str) -> None:
        self._graph_id = graph_id
        self._minted: Counter[str] = Counter()

    def mint(self, kind: type[IdT]) -> IdT:
        """The next id of this class."""
        number = self._minted[kind.what]
        self._minted[kind.what] += 1
        return counted_id(kind, self._graph_id, number)


class TimedIds:
    """Ordinary ULIDs: 48 bits of the clock's milliseconds, 80 random bits."""

    def __init__(self, wall_ms: Callable[[], int], random_bytes: Callable[[int], bytes]) -> None:
        self._wall_ms = wall_ms
        self._random_bytes = random_bytes

    def mint(self, kind: type[IdT]) -> IdT:
        """A new id of this class."""
        milliseconds = self._wall_ms().to_bytes(_SIZE - _RANDOM_SIZE)
        return kind.of(milliseconds + self._random_bytes(_RANDOM_SIZE))

"""External events: what the supervisor is given, and the context that a program reads (spec 10 §3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Protocol, cast

from msgspec import Struct

from ergo_cli.core.json import JsonError, decode
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.values import NativeValue


class EventKind(Enum):
    """The mechanical kind of an event. ``Tick`` is read as ``Pump`` and never written."""

    PUMP = "Pump"
    DATA_AVAILABLE = "DataAvailable"
    COMMAND = "Command"

    @classmethod
    def _missing_(cls, value: object) -> EventKind | None:
        return cls.PUMP if value == "Tick" else None

    @classmethod
    def parse(cls, spelling: str) -> EventKind:
        """The kind so spelled. Raises ValueError that quotes the spelling and lists the four accepted ones."""
        try:
            return cls(spelling)
        except ValueError:
            allowed = "`Pump`, `Tick`, `DataAvailable`, `Command`"
            raise ValueError(f"unknown event kind `{spelling}`, expected one of {allowed}") from None


class InvalidPayload(ValueError):
    """Payload bytes from which no event can be built. ``name`` is ``InvalidJson`` or ``PayloadMustBeJsonObject``."""

    def __init__(self, name: str, message: str, got: str | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.got = got


class ContextValues(Mapping[str, NativeValue]):
    """The named values of a context, derived from the ``members`` of its payload when they are first asked for.

    Scalars and arrays of numbers, integers as floats; everything else is dropped (spec 10 §3.2). Whoever reads a few
    of the members, and knows what a value is, need not ask.
    """

    __slots__ = ("_values", "members")

    def __init__(self, members: Mapping[str, Any]) -> None:
        self.members = members
        self._values: dict[str, NativeValue] | None = None

    def __getitem__(self, name: str) -> NativeValue:
        return self._derived()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._derived())

    def __len__(self) -> int:
        return len(self._derived())

    def __repr__(self) -> str:
        return repr(self._derived())

    def _derived(self) -> dict[str, NativeValue]:
        if self._values is None:
            self._values = _derive(self.members)
        return self._values


class Context(Protocol):
    """What a program can see of one event: named values, and the payload bytes they come from (CXT-1).

    A pure function of the payload: there is no public way to build or change one.
    """

    @property
    def payload(self) -> bytes:
        """The event's payload bytes, which stateful programs read instead of ``values``."""
        ...

    @property
    def values(self) -> Mapping[str, NativeValue]:
        """The named values, read-only."""
        ...


class _Derived(Struct, frozen=True, gc=False):
    """The one kind of context there is."""

    payload: bytes
    values: Mapping[str, NativeValue]


class ExternalEvent(Struct, frozen=True, gc=False):
    """One stimulus: id, mechanical kind, instant in ns, and the context that its payload means.

    Made by ``mechanical``, ``with_payload`` or ``of_members``; payload and context cannot disagree.
    """

    event_id: str
    kind: EventKind
    at: int
    context: Context

    @property
    def payload(self) -> bytes:
        """The payload bytes: empty, or the text of one JSON object."""
        return self.context.payload

    @classmethod
    def mechanical(cls, event_id: str, kind: EventKind, at: int) -> ExternalEvent:
        """An event without payload; its context is empty."""
        return cls(event_id, kind, at, _EMPTY)

    @classmethod
    def with_payload(
        cls, event_id: str, kind: EventKind, at: int, payload: bytes, numbers: Numbers = Numbers.EXACT
    ) -> ExternalEvent:
        """An event with the given payload bytes. Raises InvalidPayload unless they are empty or one JSON object."""
        if not payload:
            return cls.mechanical(event_id, kind, at)
        try:
            members = decode(payload, numbers)
        except JsonError as error:
            raise InvalidPayload("InvalidJson", f"payload bytes are not valid JSON: {error}") from error
        if not isinstance(members, dict):
            got = json_type(members)
            message = f"payload must be a JSON object, got {got}"
            raise InvalidPayload("PayloadMustBeJsonObject", message, got)
        return cls(event_id, kind, at, _context(payload, cast(dict[str, Any], members)))

    @classmethod
    def of_members(
        cls, event_id: str, kind: EventKind, at: int, payload: bytes, members: dict[str, Any]
    ) -> ExternalEvent:
        """An event whose payload is ``canonical(members)``, already rendered: nothing is decoded a second time."""
        return cls(event_id, kind, at, _context(payload, members))

    @classmethod
    def of_many(
        cls,
        ids: Iterable[str],
        kinds: Iterable[EventKind],
        instants: Iterable[int],
        payloads: Iterable[bytes],
        members: Iterable[dict[str, Any]],
    ) -> list[ExternalEvent]:
        """What ``of_members`` gives for each of several events, told column by column."""
        return list(map(cls, ids, kinds, instants, map(_Derived, payloads, map(ContextValues, members))))


def json_type(value: object) -> str:
    """The JSON name of a decoded value's type: null, boolean, number, string, array or object."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _context(payload: bytes, members: Mapping[str, Any]) -> Context:
    return _Derived(payload, ContextValues(members))


def _derive(members: Mapping[str, Any]) -> dict[str, NativeValue]:
    values: dict[str, NativeValue] = {}
    for name, member in members.items():
        kind = member.__class__  # decoded JSON has no subclasses
        if kind is float or kind is str or kind is bool:
            values[name] = member
        elif kind is int:
            values[name] = float(member)
        elif kind is list:
            series = _series(member)
            if series is not None:
                values[name] = series
    return values


def _series(items: list[Any]) -> list[float] | None:
    kinds = set(map(type, items))
    if kinds <= {float}:
        return items
    return list(map(float, items)) if kinds <= {float, int} else None


_EMPTY = _context(b"", {})

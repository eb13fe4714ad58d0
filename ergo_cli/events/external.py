"""External events for the supervisor, hosted events from sources, and their conversion (spec 10 §2–3, 30 §2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from math import isfinite
from typing import Any, Protocol, cast

import msgspec
from msgspec import Struct

from ergo_cli.core.json import JsonError, JsonValue, canonical, decode
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.time import Duration
from ergo_cli.core.values import NativeValue
from ergo_cli.errors import StepError


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
    """The named values of a context, derived from the ``members`` of its payload at first use.

    Scalars and arrays of numbers, integers as floats; everything else is dropped (spec 10 §3.2). Code that needs a few
    values only, and knows these rules, reads ``members`` instead.
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

    def of(self, members: Mapping[str, Any]) -> ContextValues:
        """The values of another payload, derived by the same rule."""
        return ContextValues(members)

    def _derived(self) -> dict[str, NativeValue]:
        if self._values is None:
            self._values = _derive(self.members)
        return self._values


ContextRule = Callable[[Mapping[str, Any]], ContextValues]
"""How the members of a payload become the values of a context: ``ContextValues``, but where an adapter selects them."""


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
    """The context of every event."""

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
        cls,
        event_id: str,
        kind: EventKind,
        at: int,
        payload: bytes,
        numbers: Numbers = Numbers.EXACT,
        rule: ContextRule = ContextValues,
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
        return cls(event_id, kind, at, _Derived(payload, rule(cast(dict[str, Any], members))))

    @classmethod
    def of_members(
        cls,
        event_id: str,
        kind: EventKind,
        at: int,
        payload: bytes,
        members: dict[str, Any],
        rule: ContextRule = ContextValues,
    ) -> ExternalEvent:
        """An event whose payload is ``canonical(members)``, already rendered: nothing is decoded a second time."""
        return cls(event_id, kind, at, _Derived(payload, rule(members)))

    @classmethod
    def of_many(
        cls,
        ids: Iterable[str],
        kinds: Iterable[EventKind],
        instants: Iterable[int],
        payloads: Iterable[bytes],
        members: Iterable[dict[str, Any]],
        rule: ContextRule = ContextValues,
    ) -> list[ExternalEvent]:
        """Build several events as ``of_members`` does, from columns."""
        return list(map(cls, ids, kinds, instants, map(_Derived, payloads, map(rule, members))))


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


def _derive(members: Mapping[str, Any]) -> dict[str, NativeValue]:
    values: dict[str, NativeValue] = {}
    for name, member in members.items():
        given = member.__class__  # decoded JSON has no subclasses
        if given is float or given is str or given is bool:
            values[name] = member
        elif given is int:
            values[name] = float(member)
        elif given is list:
            series = _series(member)
            if series is not None:
                values[name] = series
    return values


def _series(items: list[Any]) -> list[float] | None:
    types = set(map(type, items))
    if types <= {float}:
        return items
    return list(map(float, items)) if types <= {float, int} else None


_EMPTY = _Derived(b"", ContextValues({}))


REDACTED = "redacted:"
"""How the text begins that stands in the place of a redacted value."""


class HostedEvent(Struct, frozen=True, gc=False):
    """One event as it came from outside, before an adapter binds it.

    ``at`` is an instant in ns. ``payload`` is the decoded JSON value, integers staying integers; None means no payload.
    In a stream the payload is an object or absent; a frame may hold any other, which is refused when it is stepped.
    """

    event_id: str
    kind: EventKind
    at: int
    semantic_kind: str | None = None
    payload: JsonValue = None


class EpisodeStart(Struct, frozen=True, gc=False):
    """The following events belong to a new group; a label of None means that its number names it."""

    label: str | None


def automatic_id(ordinal: int) -> str:
    """The id of an event without one: the ``ordinal``-th event of its stream, from 1 (spec 10 §6)."""
    return f"fixture_evt_{ordinal}"


class _Wire(Struct, frozen=True, gc=False):
    event_id: str
    kind: EventKind
    at: Duration
    semantic_kind: str | None
    payload: JsonValue


_encode = msgspec.json.Encoder().encode


def encode_hosted(event: HostedEvent) -> bytes:
    """The event's one compact JSON object, members in declared order, nulls written out."""
    return _encode(_Wire(event.event_id, event.kind, Duration.of(event.at), event.semantic_kind, event.payload))


_EXACT = Numbers.EXACT  # bound locally: enum lookup is measurable here


def event_of(
    event: HostedEvent, members: dict[str, JsonValue], numbers: Numbers, rule: ContextRule = ContextValues
) -> ExternalEvent:
    """The external event whose payload is the canonical text of ``members``.

    Under ``ORIGINAL`` the context is read from that text again, as the original does: a number may move twice.
    Raises InvalidPayload where that fails; ValueError or TypeError for what JSON cannot hold.
    """
    text = render_payload(members)
    if numbers is _EXACT:
        return ExternalEvent.of_members(event.event_id, event.kind, event.at, text, members, rule)
    return ExternalEvent.with_payload(event.event_id, event.kind, event.at, text, numbers, rule)


def reread(context: Context, numbers: Numbers) -> Context:
    """The context of the same payload with its numbers read in another way. Raises InvalidPayload."""
    rule = context.values.of if isinstance(context.values, ContextValues) else ContextValues
    return ExternalEvent.with_payload("", EventKind.PUMP, 0, context.payload, numbers, rule).context


def events_of(events: Sequence[HostedEvent], rule: ContextRule = ContextValues) -> list[ExternalEvent] | None:
    """Build many events as ``event_of`` does, under exact numbers; None where they must be built one by one."""
    payloads = [event.payload for event in events if isinstance(event.payload, dict)]
    if len(payloads) < len(events):
        return None
    try:
        texts = list(map(canonical, payloads))
        if b"null" in b"".join(texts):
            _refuse_non_finite(list(payloads))
    except (ValueError, TypeError):
        return None
    ids, kinds = [event.event_id for event in events], [event.kind for event in events]
    return ExternalEvent.of_many(ids, kinds, [event.at for event in events], texts, payloads, rule)


def render_payload(members: dict[str, JsonValue]) -> bytes:
    """The canonical text of a payload object.

    Raises ValueError or TypeError for what JSON cannot hold: numbers that are not finite, lone surrogates, keys that
    are not strings.
    """
    text = canonical(members)
    if b"null" in text:
        _refuse_non_finite(members)
    return text


def _refuse_non_finite(value: JsonValue) -> None:
    match value:
        case float() if not isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        case dict():
            for member in value.values():
                _refuse_non_finite(member)
        case list():
            for item in value:
                _refuse_non_finite(item)
        case _:
            pass


def step_fault(event: HostedEvent, name: str, reason: str, fix: str, *details: str) -> StepError:
    """The recoverable error ``name`` for one event: nothing was recorded, stepping may go on (spec 30 §8)."""
    message = f"event '{event.event_id}': {reason}"
    return StepError(name, message, recoverable=True, where=f"event '{event.event_id}'", fix=fix, details=details)


def unbuildable(event: HostedEvent, reason: object) -> StepError:
    """``EventBuild``: the payload cannot become the payload of an external event."""
    return step_fault(event, "EventBuild", f"no event can be built: {reason}", "correct the event's payload")


def build_unbound_event(event: HostedEvent, numbers: Numbers = Numbers.EXACT) -> ExternalEvent:
    """The event with its payload in canonical form, or a mechanical one if it has none; the semantic kind is ignored.

    Raises StepError ``EventBuild`` (recoverable) for a payload that is not a JSON object.
    """
    payload = event.payload
    if payload is None:
        return ExternalEvent.mechanical(event.event_id, event.kind, event.at)
    if not isinstance(payload, dict):
        raise unbuildable(event, f"payload must be a JSON object, got {json_type(payload)}")
    try:
        return event_of(event, payload, numbers)
    except (ValueError, TypeError) as error:
        raise unbuildable(event, error) from error

"""What users write: stages with their handlers, the events that handlers take and give, and their errors (spec 60 §4).

A handler gets events as ``Event`` and gives a list of outputs: events, signals of a flow, ``EOF`` of a source. It fails
on one input by raising ``HandlerError``, whose kind decides where the input goes; any other exception is a crash and
fails its stage. Handlers are plain or ``async`` functions. One that performs effects takes ``effects`` as its last
parameter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.wire import FreeValue
from ergo_cli.errors import escaped
from ergo_cli.programs.pipeline.receipts import NOOP, Delivered, DeliveryMethod, DeliveryResult
from ergo_cli.programs.pipeline.signals import Signal
from ergo_cli.programs.pipeline.status import Error, ErrorKind, Status, Success
from ergo_cli.programs.pipeline.topology import StageType

S = TypeVar("S")
Handler: TypeAlias = Callable[..., Any]
"""A function of a stage; which parameters it takes is said where it is used."""

DEFAULT_REFERENCE_BATCH = 8
"""How many reference events a live join takes before it serves a stream event."""


class Event(Struct, frozen=True):
    """A data event as handlers see it: its type, its payload as plain JSON, and how it was processed so far.

    ``id`` is set on events that a handler gets. An output whose ``status`` is an ``Error`` is routed by its kind, as an
    input is on which a handler fails.
    """

    event_type: str
    payload: FreeValue = None
    status: Status = Success()
    id: str | None = None

    def failed(self, message: str, kind: ErrorKind | str | None = None) -> Event:
        """The event, marked as failed."""
        return replace(self, status=Error(escaped(str(message)), None if kind is None else ErrorKind(kind)))


class EOF(Struct, frozen=True):
    """Ends the source that admits it; ``natural`` is off for a source that ends before its time."""

    natural: bool = True


class StrictMiss(Struct, frozen=True):
    """The output of a join whose reference data must have a row for ``key`` and has none; it fails the stage (H-23)."""

    key: FreeValue


Output: TypeAlias = Event | EOF | StrictMiss | Signal
"""What a handler may give; a signal is written as it is, with status ``Filtered``."""


class Delivery(Struct, frozen=True):
    """What a sink says of an event that it consumed."""

    result: DeliveryResult = Delivered()
    method: DeliveryMethod = NOOP
    bytes_processed: int | None = None


_TEXTS = {
    ErrorKind.TIMEOUT: "Timeout",
    ErrorKind.REMOTE: "Remote error",
    ErrorKind.RATE_LIMITED: "Rate limited",
    ErrorKind.PERMANENT_FAILURE: "Permanent failure",
    ErrorKind.DESERIALIZATION: "Deserialization error",
    ErrorKind.VALIDATION: "Validation error",
    ErrorKind.DOMAIN: "Domain error",
    ErrorKind.UNKNOWN: "Handler error",
}


class HandlerError(Exception):
    """A handler cannot process its input; ``kind`` decides where the input goes, None is ``Unknown``.

    ``Validation`` and ``Domain`` keep the input, marked, among the data; all others send it to the error journal.
    """

    def __init__(self, message: str, kind: ErrorKind | str | None = None) -> None:
        super().__init__(message)
        self.message = escaped(str(message))
        self.kind = ErrorKind.UNKNOWN if kind is None else ErrorKind(kind)

    @property
    def text(self) -> str:
        """The error as receipts and failures of stages show it: ``Timeout: no answer``."""
        return f"{_TEXTS[self.kind]}: {self.message}"

    @property
    def form(self) -> str:
        """The error as marked events show it: ``Timeout("no answer")``."""
        quoted = json.dumps(self.message, ensure_ascii=False)
        match self.kind:
            case ErrorKind.RATE_LIMITED:
                return f"RateLimited {{ message: {quoted}, retry_after: None }}"
            case ErrorKind.UNKNOWN:
                return f"Other({quoted})"
            case kind:
                return f"{kind.value}({quoted})"


class Source(Struct, frozen=True):
    """A stage that makes the data. ``admit(payload)`` gives the events of one admitted payload."""

    name: str
    admit: Handler
    is_infinite: bool = False
    ordered_delivery: bool = True
    logic_version: str = "1"

    @property
    def type(self) -> StageType:
        """Whether it can end by itself."""
        return StageType.INFINITE_SOURCE if self.is_infinite else StageType.FINITE_SOURCE


class Transform(Struct, frozen=True):
    """A stage without state: ``process(event)`` gives the outputs for one event, ``drain()`` those of its end."""

    name: str
    process: Handler
    drain: Handler
    ordered_delivery: bool = True
    logic_version: str = "1"
    type = StageType.TRANSFORM


class Stateful(Struct, frozen=True):
    """A stage that gathers: ``accumulate`` takes events in, ``emit`` gives outputs when ``should_emit`` says so."""

    name: str
    initial_state: Handler
    accumulate: Handler
    emit: Handler
    should_emit: Handler
    drain: Handler
    emit_interval_ms: int | None = None
    ordered_delivery: bool = True
    logic_version: str = "1"
    type = StageType.STATEFUL


class Join(Struct, frozen=True):
    """A stage that reads two others: the ``reference``, gathered in its state, and the ``stream``, which it enriches.

    Unless it is ``live`` it reads the reference to its EOF before the stream.
    """

    name: str
    reference: str
    stream: str
    process_event: Handler
    initial_state: Handler
    on_source_eof: Handler
    drain: Handler
    live: bool = False
    reference_batch: int = DEFAULT_REFERENCE_BATCH
    ordered_delivery: bool = True
    logic_version: str = "1"
    type = StageType.JOIN


class Sink(Struct, frozen=True):
    """A stage that delivers: ``consume(event)`` gives a receipt, None for an ordinary success."""

    name: str
    consume: Handler
    flush: Handler
    drain: Handler
    ordered_delivery: bool = True
    logic_version: str = "1"
    type = StageType.SINK


AuthoredStage: TypeAlias = Source | Transform | Stateful | Join | Sink


def source(name: str, admit: Handler | None = None, *, infinite: bool = False, logic_version: str = "1") -> Source:
    """A source; by default each payload becomes one event whose type is the name of the source.

    ``admit(payload)`` gives a list of events, signals and ``EOF``; a HandlerError is noted in the error journal of the
    source, which goes on.
    """

    def as_it_is(payload: FreeValue) -> list[Output]:
        return [Event(name, payload)]

    return Source(name, as_it_is if admit is None else admit, infinite, logic_version=logic_version)


def transform(
    name: str,
    process: Handler,
    *,
    drain: Handler | None = None,
    ordered_delivery: bool = True,
    logic_version: str = "1",
) -> Transform:
    """A transform: ``process(event) -> list``; ``drain()`` gives its last outputs; a HandlerError of it fails it."""
    return Transform(name, process, drain or _nothing, ordered_delivery, logic_version)


def stateful(
    name: str,
    initial_state: Callable[[], S],
    accumulate: Handler,
    emit: Handler,
    *,
    should_emit: Callable[[S], bool] | None = None,
    drain: Handler | None = None,
    emit_interval_ms: int | None = None,
    ordered_delivery: bool = True,
    logic_version: str = "1",
) -> Stateful:
    """A stateful stage.

    ``accumulate(state, event)`` gives the next state, None where it changed the state in place. ``emit(state)`` gives
    outputs whenever ``should_emit(state)`` holds after an event, which by default is never; ``drain(state)`` gives the
    last ones, by default those of ``emit``. ``emit_interval_ms`` lets an idle stage emit, but not under ergo, whose
    clock stands. Errors of ``emit`` and ``drain`` fail the stage.
    """
    return Stateful(
        name,
        initial_state,
        accumulate,
        emit,
        should_emit or _never,
        drain or emit,
        emit_interval_ms,
        ordered_delivery,
        logic_version,
    )


def join(
    name: str,
    reference: str,
    stream: str,
    process_event: Handler,
    *,
    initial_state: Callable[[], Any] = dict,
    on_source_eof: Handler | None = None,
    drain: Handler | None = None,
    live: bool = False,
    reference_batch: int = DEFAULT_REFERENCE_BATCH,
    ordered_delivery: bool = True,
    logic_version: str = "1",
) -> Join:
    """A join of the stage named ``reference`` and the one named ``stream``.

    ``process_event(state, event, upstream, writer_id)`` gives outputs; ``upstream`` is the name of the stage that the
    event was read from. The state is changed in place. ``on_source_eof(state, upstream, writer_id)`` and
    ``drain(state)`` give the outputs of an EOF and of the end. ``inner``, ``left`` and ``strict`` make such a handler.
    """
    return Join(
        name,
        reference,
        stream,
        process_event,
        initial_state,
        on_source_eof or _nothing,
        drain or _nothing,
        live,
        reference_batch,
        ordered_delivery,
        logic_version,
    )


def sink(
    name: str,
    consume: Handler,
    *,
    flush: Handler | None = None,
    drain: Handler | None = None,
    ordered_delivery: bool = True,
    logic_version: str = "1",
) -> Sink:
    """A sink: ``consume(event)`` gives a ``Delivery``, None for an ordinary success.

    ``flush()`` and ``drain()`` are called at the end and may give one receipt each. A HandlerError of ``consume`` is a
    failed receipt, one of ``flush`` or ``drain`` fails the stage.
    """
    return Sink(name, consume, flush or _nothing, drain or _nothing, ordered_delivery, logic_version)


Key: TypeAlias = Callable[[Event], Hashable]
Combine: TypeAlias = Callable[[Event | None, Event], Event]


def inner(reference: str, reference_key: Key, stream_key: Key, combine: Combine) -> Handler:
    """A join's ``process_event`` that gives ``combine(row, event)`` for a match, and nothing without one."""
    return _by_key(reference, reference_key, stream_key, combine, lambda _event: [])


def left(reference: str, reference_key: Key, stream_key: Key, combine: Combine) -> Handler:
    """A join's ``process_event`` that gives ``combine(row, event)``; an event without match has None as its row."""
    return _by_key(reference, reference_key, stream_key, combine, lambda event: [combine(None, event)])


def strict(reference: str, reference_key: Key, stream_key: Key, combine: Combine) -> Handler:
    """A join's ``process_event`` that gives ``combine(row, event)``; an event without match fails the stage (H-23)."""
    return _by_key(reference, reference_key, stream_key, combine, lambda event: [StrictMiss(stream_key(event))])


def _by_key(
    reference: str,
    reference_key: Key,
    stream_key: Key,
    combine: Combine,
    missing: Callable[[Event], Sequence[Output]],
) -> Handler:
    def process_event(rows: dict[Hashable, Event], event: Event, upstream: str, writer_id: object) -> Sequence[Output]:
        if upstream == reference:
            rows[_hashable(reference_key(event), "reference_key")] = event
            return []
        row = rows.get(_hashable(stream_key(event), "stream_key"))
        return missing(event) if row is None else [combine(row, event)]

    return process_event


def _hashable(key: Hashable, given_by: str) -> Hashable:
    try:
        hash(key)
    except TypeError as error:
        message = f"{given_by} gave {type(key).__name__}, which no row can be looked up by: {error}"
        raise TypeError(message) from error
    return key


def _nothing(*_arguments: object) -> None:
    return None


def _never(_state: object) -> bool:
    return False

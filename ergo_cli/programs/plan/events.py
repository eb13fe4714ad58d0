"""The events of a run's stream, as text and back (spec 50 §10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import cast

from msgspec import Struct

from ergo_cli.core import wire
from ergo_cli.core.json import decode
from ergo_cli.core.wire import FreeValue, Variant, Wrapper
from ergo_cli.programs.plan.canonical import canonical_line
from ergo_cli.programs.plan.errors import Failure
from ergo_cli.programs.plan.ids import ArtifactId, Attempt, OpId, RunId, StateId

FACT_RECORDED = "fact_recorded"
"""The domain event that binds a fact key to the artifact of its answer."""

CALL_FAILED = "call_failed"
"""The domain event that keeps the error of a call, so that a replay can raise it again."""


class RunStatus(Enum):
    """How a run ended."""

    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class RunStarted(Variant, frozen=True):
    """The first event of every run."""

    op_id: OpId
    manifest_id: ArtifactId
    initial_snapshot_id: ArtifactId


class StateEntered(Variant, frozen=True):
    """An attempt begins; ``attempt`` counts from 0."""

    state_id: StateId
    attempt: Attempt
    base_snapshot_id: ArtifactId


class StateCompleted(Variant, frozen=True):
    """An attempt succeeded; the only event that advances the checkpoint."""

    state_id: StateId
    context_snapshot_id: ArtifactId


class StateFailed(Variant, frozen=True):
    """An attempt failed."""

    state_id: StateId
    error: Failure
    failure_snapshot_id: ArtifactId | None


class RunCompleted(Variant, frozen=True):
    """The last event of a run."""

    status: RunStatus
    final_snapshot_id: ArtifactId | None


KernelEvent = RunStarted | StateEntered | StateCompleted | StateFailed | RunCompleted


class DomainEvent(Struct, frozen=True):
    """An event of a handler, or of the engine on its behalf."""

    name: str
    payload: FreeValue
    payload_ref: ArtifactId | None = None


class Kernel(Wrapper, frozen=True):
    """An event of the engine."""

    event: KernelEvent


class Domain(Wrapper, frozen=True):
    """An event of the domain."""

    event: DomainEvent


class Envelope(Struct, frozen=True):
    """One event in its place; ``ts_millis`` is informational and always null here."""

    run_id: RunId
    seq: int
    ts_millis: int | None
    event: Kernel | Domain

    @property
    def kernel(self) -> KernelEvent | None:
        """The engine's event; None for one of the domain."""
        return self.event.event if isinstance(self.event, Kernel) else None

    @property
    def domain(self) -> DomainEvent | None:
        """The domain's event; None for one of the engine."""
        return self.event.event if isinstance(self.event, Domain) else None


class FactRecorded(Struct, frozen=True):
    """The payload of ``fact_recorded``: which artifact answers a fact key; ``meta`` describes the question."""

    key: str
    payload_id: ArtifactId
    meta: FreeValue


def line(envelope: Envelope) -> bytes:
    """The canonical text of an envelope, without the line feed. Raises NotCanonicalError."""
    return canonical_line(decode(wire.encode(envelope)))


def read_line(text: bytes) -> Envelope:
    """The envelope that a text holds. Raises JsonError and WireError."""
    return wire.decode(text, Envelope)


def fact_recorded(fact: FactRecorded) -> DomainEvent:
    """The event that binds a fact."""
    return DomainEvent(FACT_RECORDED, {"key": fact.key, "meta": fact.meta, "payload_id": fact.payload_id})


def fact_of(event: DomainEvent) -> FactRecorded | None:
    """The fact that an event binds; None for another event. Raises WireError for a malformed one."""
    return wire.read(event.payload, FactRecorded) if event.name == FACT_RECORDED else None


def asked_keys(events: Iterable[Envelope]) -> Iterator[str]:
    """The fact keys of calls that were answered or failed, in their order, repeated ones too."""
    for envelope in events:
        event = envelope.domain
        if event is not None and event.name in (FACT_RECORDED, CALL_FAILED):
            yield cast("dict[str, str]", event.payload)["key"]


def named_artifacts(events: Iterable[Envelope]) -> Iterator[str]:
    """The ids of the artifacts that events name, in their order, repeated ones too."""
    for envelope in events:
        match envelope.kernel:
            case RunStarted(_, manifest, initial):
                yield from (manifest, initial)
            case StateEntered(_, _, base):
                yield base
            case StateCompleted(_, snapshot):
                yield snapshot
            case StateFailed(_, _, snapshot) | RunCompleted(_, snapshot):
                yield from () if snapshot is None else (snapshot,)
            case None:
                yield from _named_by(envelope.domain)


def _named_by(event: DomainEvent | None) -> Iterator[str]:
    assert event is not None
    if event.payload_ref is not None:
        yield event.payload_ref
    fact = fact_of(event)
    if fact is not None:
        yield fact.payload_id

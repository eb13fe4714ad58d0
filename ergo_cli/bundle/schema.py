"""What a bundle holds, as values (spec 11 §2, 00 §5). Times and durations are ints in ns; payloads are bytes."""

from __future__ import annotations

from enum import Enum
from hashlib import sha256
from typing import Literal, Self

from msgspec import Struct

from ergo_cli.core.effects import Effect, decode_effect, effect_hash, encode_effect
from ergo_cli.core.program_source import ProgramSource
from ergo_cli.core.provenance import NO_ADAPTER
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.supervisor.constraints import Constraints
from ergo_cli.supervisor.log import Decision, LogEntry
from ergo_cli.supervisor.seam import RunTermination


class Version(Enum):
    """A bundle format that ergo writes."""

    V3 = "v3"
    V4 = "v4"


class Header(Struct, frozen=True):
    """What is known of a run before its first event."""

    graph_id: str
    constraints: Constraints
    runtime_provenance: str
    adapter_provenance: str = NO_ADAPTER


class EventRecord(Struct, frozen=True, gc=False):
    """One event as it reached the supervisor. ``payload_hash`` is what is recorded, right or wrong."""

    event_id: str
    event_time: int
    kind: EventKind
    payload: bytes
    payload_hash: str

    @classmethod
    def of(cls, event: ExternalEvent) -> Self:
        """The record of an event (spec 11 §4)."""
        payload = event.payload
        return cls(event.event_id, event.at, event.kind, payload, sha256(payload).hexdigest())


class CapturedEffect(Struct, frozen=True, gc=False):
    """One effect with its hash. ``text`` is the effect's compact JSON; ``effect_hash`` is what is recorded of it."""

    text: bytes
    effect_hash: str

    @classmethod
    def of(cls, effect: Effect) -> Self:
        """The effect, rendered and hashed once. Raises ValueError for what JSON cannot hold (spec 11 §3.3)."""
        return cls.rendered(encode_effect(effect))

    @classmethod
    def rendered(cls, text: bytes) -> Self:
        """The effect with this compact JSON, hashed once."""
        return cls(text, effect_hash(text))

    @classmethod
    def recorded(cls, effect: Effect, hash_text: str) -> Self:
        """The effect with the hash text that a bundle gives for it."""
        return cls(encode_effect(effect), hash_text)

    @property
    def effect(self) -> Effect:
        """The effect itself, read from its text."""
        return decode_effect(self.text)


class IntentAck(Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """A channel's word that it took an intent over; also the wire form."""

    intent_id: str
    channel: str
    status: str
    acceptance: str
    egress_ref: str | None = None


class DecisionRecord(Struct, frozen=True):
    """One decision with what came of it. Acks and interruption are evidence, never compared (spec 11 §8.3)."""

    event_id: str
    decision: Decision
    schedule_at: int | None
    episode_id: int
    deadline: int | None
    termination: RunTermination | None
    retry_count: int
    effects: tuple[CapturedEffect, ...] = ()
    intent_acks: tuple[IntentAck, ...] = ()
    interruption: str | None = None

    @classmethod
    def of(
        cls,
        entry: LogEntry,
        effects: tuple[CapturedEffect, ...] = (),
        intent_acks: tuple[IntentAck, ...] = (),
        interruption: str | None = None,
    ) -> Self:
        """The record of a log entry, with what the host adds (spec 11 §7.1–7.3)."""
        return cls(
            entry.event.event_id,
            entry.decision,
            entry.schedule_at,
            entry.episode_id,
            entry.deadline,
            entry.termination,
            entry.retry_count,
            effects,
            intent_acks,
            interruption,
        )


class ProgramRecord(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The program of a v4 bundle; ``sources`` only where it is embedded (spec 00 §12.6)."""

    kind: Literal["graph", "kernel", "plan", "pipeline"]
    ref: str
    sources: tuple[ProgramSource, ...] | None = None


def payload_hash(payload: bytes) -> str:
    """Lower-case hex SHA-256 of payload bytes."""
    return sha256(payload).hexdigest()

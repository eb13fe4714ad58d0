"""The wire forms of bundle records, as spec 11 §2–5 writes them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct

from ergo_cli.bundle.schema import IntentAck, Version
from ergo_cli.core.numbers import U64_MAX
from ergo_cli.core.time import Duration
from ergo_cli.core.values import Effect
from ergo_cli.events.external import EventKind
from ergo_cli.supervisor.seam import Constraints, Decision, RunTermination

Count = Annotated[int, Meta(ge=0)]
"""An unsigned integer; ``checked_count`` checks that it fits 64 bits."""


class EventV3(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An event record of v3: the payload as a list of byte values."""

    event_id: str
    event_time: Duration
    kind: EventKind
    payload: list[int]
    payload_hash: str


class EventV4(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An event record of v4: the payload as its text."""

    event_id: str
    event_time: Duration
    kind: EventKind
    payload: str
    payload_hash: str


EVENT_FORMS: dict[Version, type[Struct]] = {Version.V3: EventV3, Version.V4: EventV4}
"""The wire form of events, by version."""


class WireEffect(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The wire form of a captured effect, for decoding."""

    effect: Effect
    effect_hash: str


class WireDecision(Struct, frozen=True, forbid_unknown_fields=True):
    """The wire form of a decision record, for decoding: nullable members may be missing."""

    event_id: str
    decision: Decision
    episode_id: Count
    retry_count: Count
    effects: list[WireEffect]
    schedule_at: Duration | None = None
    deadline: Duration | None = None
    termination: RunTermination | None = None
    intent_acks: list[IntentAck] = []
    interruption: str | None = None


class RenderedEffect(Struct, frozen=True, gc=False):
    """The wire form of a captured effect, for encoding: the effect is already rendered."""

    effect: Raw
    effect_hash: str


class RenderedDecision(Struct, frozen=True, omit_defaults=True):
    """The wire form of a decision record, for encoding: nulls are written, empty acks and None are not."""

    event_id: str
    decision: Decision
    schedule_at: Duration | None
    episode_id: int
    deadline: Duration | None
    termination: RunTermination | None
    retry_count: int
    effects: list[RenderedEffect]
    intent_acks: tuple[IntentAck, ...] = ()
    interruption: str | None = None


class WireConstraints(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The constraints of a run: nulls are written; only ``max_retries`` is required when decoding (spec 10 §18)."""

    max_in_flight: Count | None = None
    max_per_window: Count | None = None
    rate_window: Duration | None = None
    deadline: Duration | None = None
    max_retries: Count

    @classmethod
    def of(cls, constraints: Constraints) -> WireConstraints:
        """The wire form of constraints."""
        return cls(
            max_in_flight=constraints.max_in_flight,
            max_per_window=constraints.max_per_window,
            rate_window=optional_duration(constraints.rate_window),
            deadline=optional_duration(constraints.deadline),
            max_retries=constraints.max_retries,
        )

    @property
    def constraints(self) -> Constraints:
        """The constraints as a value. Raises ValueError for a number beyond 64 bits."""
        return Constraints(
            optional_count(self.max_in_flight),
            optional_count(self.max_per_window),
            optional_ns(self.rate_window),
            optional_ns(self.deadline),
            checked_count(self.max_retries),
        )


def optional_duration(ns: int | None) -> Duration | None:
    """The wire form of an optional duration in ns."""
    return None if ns is None else Duration.of(ns)


def optional_ns(duration: Duration | None) -> int | None:
    """Nanoseconds of an optional duration. Raises ValueError outside its range."""
    return None if duration is None else duration.ns


def optional_count(number: int | None) -> int | None:
    """``checked_count`` of an optional number."""
    return None if number is None else checked_count(number)


def checked_count(number: int) -> int:
    """Return ``number`` unchanged. Raises ValueError beyond 64 bits."""
    if number > U64_MAX:
        raise ValueError(f"integer {number} is greater than {U64_MAX}")
    return number

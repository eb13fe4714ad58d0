"""The records of a bundle as they stand in its text: fields in the order of writing (spec 11 §2).

These forms are closed. A v3 bundle may hold unknown members inside its records: ``codec`` drops them and reads again,
so that the many bundles without any are read at full speed.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct

from ergo_cli.bundle.schema import IntentAck
from ergo_cli.core.effects import Effect
from ergo_cli.core.numbers import U64_MAX
from ergo_cli.core.time import Duration
from ergo_cli.events.external import EventKind
from ergo_cli.supervisor.constraints import Constraints
from ergo_cli.supervisor.log import Decision
from ergo_cli.supervisor.seam import RunTermination

Count = Annotated[int, Meta(ge=0)]
"""An unsigned integer; that it fits 64 bits is checked by ``checked_count``."""


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


class WireEffect(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A captured effect, read."""

    effect: Effect
    effect_hash: str


class WireDecision(Struct, frozen=True, forbid_unknown_fields=True):
    """A decision record, read: nullable members may be missing."""

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
    """A captured effect, written: its text is at hand."""

    effect: Raw
    effect_hash: str


class RenderedDecision(Struct, frozen=True, omit_defaults=True):
    """A decision record, written: nulls are explicit, empty acks and no interruption are left out."""

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
    """The constraints of a run: nulls are written, only ``max_retries`` must be there when read (spec 10 §18)."""

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
        """The value. Raises ValueError for what does not fit 64 bits."""
        return Constraints(
            optional_count(self.max_in_flight),
            optional_count(self.max_per_window),
            optional_ns(self.rate_window),
            optional_ns(self.deadline),
            checked_count(self.max_retries),
        )


def optional_duration(ns: int | None) -> Duration | None:
    """The wire form of a duration that may be missing."""
    return None if ns is None else Duration.of(ns)


def optional_ns(duration: Duration | None) -> int | None:
    """Nanoseconds of a duration that may be missing. Raises ValueError outside its range."""
    return None if duration is None else duration.ns


def optional_count(number: int | None) -> int | None:
    """``checked_count`` of a number that may be missing."""
    return None if number is None else checked_count(number)


def checked_count(number: int) -> int:
    """The number itself. Raises ValueError beyond 64 bits."""
    if number > U64_MAX:
        raise ValueError(f"integer {number} is greater than {U64_MAX}")
    return number

"""Why a contract is violated, in the form of results and in that of events (spec 60 §2.3).

Results of contracts tag a cause externally: ``{"SeqDivergence":{"advertised":3,"reader":1}}``. Events tag it beside its
content: ``{"violation_type":"seq_divergence","details":{"advertised":3,"reader":1}}``.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Struct, field

from ergo_cli.core import wire
from ergo_cli.core.wire import Adjacent, Variant, Wrapper
from ergo_cli.programs.pipeline.counters import Count
from ergo_cli.programs.pipeline.ids import EventId


class ExpectedCountMismatch(Variant, frozen=True):
    """A source promised another number of events than it wrote."""

    expected: Count
    actual: Count


class SeqDivergence(Variant, frozen=True):
    """A reader counted other data events than the writer advertised at its end."""

    advertised: Count | None
    reader: Count


class GapDetected(Variant, frozen=True):
    """A reader missed events, both ends included."""

    start: Count = field(name="from")
    end: Count = field(name="to")


class StallExceeded(Variant, frozen=True):
    """A reader made no progress for longer than the threshold."""

    threshold_ms: Count


class Divergence(Variant, frozen=True, omit_defaults=True):
    """A rate or depth passed its bound; ``predicate`` names which one."""

    predicate: str
    observed: float
    threshold: float
    window_seconds: Count | None = None


class OtherCause(Wrapper, frozen=True):
    """A cause that only has a text: ``contract_failed``, ``user_stop`` and the like."""

    text: str


ViolationCause: TypeAlias = Annotated[
    ExpectedCountMismatch | SeqDivergence | GapDetected | StallExceeded | Divergence | OtherCause,
    Adjacent(
        "violation_type",
        "details",
        {
            "expected_count_mismatch": ExpectedCountMismatch,
            "seq_divergence": SeqDivergence,
            "gap_detected": GapDetected,
            "stall_exceeded": StallExceeded,
            "divergence": Divergence,
            "other": OtherCause,
        },
    ),
]
"""A cause as events carry it."""


class ContentDifference(Struct, frozen=True):
    """A place where writer and reader saw different events; null where one of them saw none."""

    index: Count
    writer_event_id: EventId | None
    reader_event_id: EventId | None


class ContentMismatch(Variant, frozen=True):
    """Writer and reader saw different events."""

    mismatches: tuple[ContentDifference, ...]


class DeliveryMismatch(Variant, frozen=True):
    """Receipts and delivered events do not match."""

    missing_deliveries: Count
    orphan_deliveries: Count


class AccountingMismatch(Variant, frozen=True):
    """Not every input is accounted for."""

    inputs_observed: Count
    accounted_for: Count


class Other(Wrapper, frozen=True):
    """A cause that only has a text."""

    text: str


ContractCause: TypeAlias = SeqDivergence | ContentMismatch | DeliveryMismatch | AccountingMismatch | Divergence | Other
"""A cause as results of contracts carry it."""

CONTRACT_FAILED = OtherCause("contract_failed")
"""The cause of a failure that was reported without one."""


def cause_label(cause: ContractCause) -> str:
    """The cause's name in ``contract_result`` events and metrics."""
    match cause:
        case SeqDivergence():
            return "seq_divergence"
        case ContentMismatch():
            return "content_mismatch"
        case DeliveryMismatch():
            return "delivery_mismatch"
        case AccountingMismatch():
            return "accounting_mismatch"
        case Divergence():
            return "divergence"
        case Other():
            return "other"


def violation(cause: ContractCause) -> ViolationCause:
    """The cause of a contract as an event carries it."""
    match cause:
        case SeqDivergence() | Divergence():
            return cause
        case ContentMismatch() | DeliveryMismatch() | AccountingMismatch():
            return OtherCause(cause_label(cause))
        case Other(text):
            return OtherCause(text)


def cause_text(cause: ViolationCause) -> str:
    """The JSON of a cause, for texts that people read."""
    return wire.write(cause, ViolationCause).decode()

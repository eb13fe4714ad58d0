"""From an event record back to the event, never unchecked (spec 11 §4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from ergo_cli.bundle.schema import EventRecord, payload_hash
from ergo_cli.core.json import decode_objects
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ReplayError
from ergo_cli.events.external import ExternalEvent


class PayloadHashMismatch(ReplayError):
    """The payload of an event record is not the one that was hashed."""

    def __init__(self, event_id: str, expected: str, actual: str) -> None:
        super().__init__(
            "replay.hash_mismatch",
            f"the payload of event '{event_id}' was changed: recorded hash {expected}, its bytes have {actual}",
            where=f"event '{event_id}'",
            fix="restore the bundle from where it came, or capture again",
        )
        self.event_id = event_id
        self.expected = expected
        self.actual = actual


def check_payload(record: EventRecord) -> None:
    """Raise PayloadHashMismatch unless the payload has the recorded hash, as exact text."""
    actual = payload_hash(record.payload)
    if actual != record.payload_hash:
        raise PayloadHashMismatch(record.event_id, record.payload_hash, actual)


def rehydrate(record: EventRecord, numbers: Numbers = Numbers.EXACT) -> ExternalEvent:
    """The event of a record. Raises PayloadHashMismatch, and InvalidPayload where no event can be built from it."""
    check_payload(record)
    return ExternalEvent.with_payload(record.event_id, record.kind, record.event_time, record.payload, numbers)


def rehydrate_together(records: Sequence[EventRecord], numbers: Numbers = Numbers.EXACT) -> Iterable[ExternalEvent]:
    """What ``rehydrate`` gives for each record, much faster; what it raises comes when the event is asked for."""
    payloads = [record.payload for record in records]
    members = decode_objects(payloads) if numbers is Numbers.EXACT else None
    if members is None or [sha256(text).hexdigest() for text in payloads] != [
        record.payload_hash for record in records
    ]:
        return (rehydrate(record, numbers) for record in records)
    ids, kinds = [record.event_id for record in records], [record.kind for record in records]
    return ExternalEvent.of_many(ids, kinds, [record.event_time for record in records], payloads, members)

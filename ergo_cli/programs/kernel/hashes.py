"""Hashes over a run: its events, its requests (spec 40 §8)."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from ergo_cli.core.canonical import free_text
from ergo_cli.programs.kernel import wire
from ergo_cli.programs.kernel.errors import at, driver_error
from ergo_cli.programs.kernel.events import ActionRequested, SequencedEvent
from ergo_cli.programs.kernel.run_log import RunLog
from ergo_cli.stores.journals import EventJournal


def events_hash(events: Iterable[SequencedEvent]) -> str:
    """Lower-case hex SHA-256 over the canonical texts of events, nothing between them."""
    digest = sha256()
    for event in events:
        digest.update(wire.encode(event))
    return digest.hexdigest()


def event_stream_hash(journal: EventJournal, run_id: str) -> str:
    """``events_hash`` of a whole run; of an unknown one the hash of nothing."""
    return events_hash(RunLog(journal, run_id).scan())


def verify_event_stream_hash(journal: EventJournal, run_id: str, expected: bytes) -> None:
    """Raise KernelError unless the run's hash is these 32 bytes."""
    if event_stream_hash(journal, run_id) != expected.hex():
        message = "replay mismatch: event stream hash differs from expected (determinism verify)"
        raise driver_error(message, where=at(run_id))


def requests_checksum(events: Iterable[SequencedEvent]) -> str:
    """Lower-case hex SHA-256 over id and payload of every request, of whatever kind; outcomes do not count."""
    digest = sha256()
    for event in events:
        if isinstance(event.event, ActionRequested):
            digest.update(event.event.action_id.encode())
            digest.update(free_text(event.event.payload))
    return digest.hexdigest()


def tool_checksum(journal: EventJournal, run_id: str) -> str:
    """``requests_checksum`` of a whole run."""
    return requests_checksum(RunLog(journal, run_id).scan())

"""Checks a stored run against known hashes, and its interrupts for pairs (spec 40 §3.18, §8, §9.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256

from msgspec import Struct

from ergo_cli.core.json import free_text
from ergo_cli.core.wire import FreeValue, Variant
from ergo_cli.programs.kernel.engine.errors import KernelError, at, driver_error
from ergo_cli.programs.kernel.engine.events import ActionRequested, Interrupted, Resumed, RunLog, Seq, SequencedEvent
from ergo_cli.programs.kernel.replay.divergence import events_hash
from ergo_cli.stores.journals import EventJournal


def event_stream_hash(journal: EventJournal, run_id: str) -> str:
    """``events_hash`` of a whole run; for an unknown run the hash of no bytes."""
    return events_hash(RunLog(journal, run_id).scan())


def verify_event_stream_hash(journal: EventJournal, run_id: str, expected: bytes) -> None:
    """Raise KernelError unless the run's hash is these 32 bytes."""
    if event_stream_hash(journal, run_id) != expected.hex():
        message = "replay mismatch: event stream hash differs from expected (determinism verify)"
        raise driver_error(message, where=at(run_id))


def requests_checksum(events: Iterable[SequencedEvent]) -> str:
    """Lower-case hex SHA-256 over id and payload of every request of any kind; results do not count."""
    digest = sha256()
    for event in events:
        if isinstance(event.event, ActionRequested):
            digest.update(event.event.action_id.encode())
            digest.update(free_text(event.event.payload))
    return digest.hexdigest()


def tool_checksum(journal: EventJournal, run_id: str) -> str:
    """``requests_checksum`` of a whole run."""
    return requests_checksum(RunLog(journal, run_id).scan())


class VerifyConfig(Struct, frozen=True, kw_only=True):
    """The checks to make; ``expected_state_hash`` is the hash of the *event stream*, as 64 hex digits."""

    verify_state_hash: bool = False
    expected_state_hash: str | None = None
    verify_tool_checksum: bool = False
    expected_tool_checksum: str | None = None
    verify_interrupt_consistency: bool = False


class StateHashMismatch(Variant, frozen=True):
    """The events differ from those expected, or could not be hashed."""

    expected: str
    actual: str


class ToolChecksumMismatch(Variant, frozen=True):
    """The requests differ from those expected."""

    expected: str
    actual: str


class UnmatchedInterrupt(Variant, frozen=True):
    """An interrupt without a resumption."""

    seq: Seq
    value: FreeValue


class UnmatchedResume(Variant, frozen=True):
    """A resumption without an interrupt."""

    seq: Seq


class RunNotFound(Variant, frozen=True):
    """A run without events."""


_HEX = re.compile("[0-9a-fA-F]*")


VerificationFailure = StateHashMismatch | ToolChecksumMismatch | UnmatchedInterrupt | UnmatchedResume | RunNotFound


def verify_run(journal: EventJournal, run_id: str, config: VerifyConfig) -> VerificationFailure | None:
    """The first check that fails, in the order of the fields of ``config``; None if all hold."""
    try:
        head = RunLog(journal, run_id).head()
    except KernelError as error:
        return StateHashMismatch("head check", str(error))
    if head == 0:
        return RunNotFound()
    return (
        _check_stream(journal, run_id, config)
        or _check_requests(journal, run_id, config)
        or (_check_interrupts(journal, run_id) if config.verify_interrupt_consistency else None)
    )


def _check_stream(journal: EventJournal, run_id: str, config: VerifyConfig) -> StateHashMismatch | None:
    expected = config.expected_state_hash
    if not config.verify_state_hash or expected is None:
        return None
    if len(expected) % 2 or _HEX.fullmatch(expected) is None:
        return StateHashMismatch(expected, "invalid hex")
    digest = bytes.fromhex(expected)
    if len(digest) != 32:
        return StateHashMismatch(expected, "wrong length")
    try:
        verify_event_stream_hash(journal, run_id, digest)
    except KernelError as error:
        return StateHashMismatch(expected, f"verification failed: {error}")
    return None


def _check_requests(journal: EventJournal, run_id: str, config: VerifyConfig) -> ToolChecksumMismatch | None:
    if not config.verify_tool_checksum:
        return None
    try:
        actual = tool_checksum(journal, run_id)
    except KernelError as error:
        return ToolChecksumMismatch("compute", str(error))
    expected = config.expected_tool_checksum
    return None if expected in (None, actual) else ToolChecksumMismatch(expected, actual)


def _check_interrupts(journal: EventJournal, run_id: str) -> VerificationFailure | None:
    """Check that interrupts and resumptions pair up, last in first out; an open interrupt fails too (K-8)."""
    open_interrupts: list[UnmatchedInterrupt] = []
    try:
        for event in RunLog(journal, run_id).scan():
            match event.event:
                case Interrupted(value):
                    open_interrupts.append(UnmatchedInterrupt(event.seq, value))
                case Resumed() if not open_interrupts:
                    return UnmatchedResume(event.seq)
                case Resumed():
                    open_interrupts.pop()
                case _:
                    pass
    except KernelError as error:
        return UnmatchedInterrupt(0, str(error))
    return open_interrupts[-1] if open_interrupts else None

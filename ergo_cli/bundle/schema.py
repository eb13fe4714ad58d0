"""The contents of a bundle as values, and the errors of reading one (spec 11 §2–4, 00 §5, §13.4).

Times and durations are ints in ns; payloads are bytes.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from enum import Enum
from hashlib import sha256
from typing import Protocol, Self, runtime_checkable

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ergo_cli.core.documents import NO_ADAPTER, ProgramSource
from ergo_cli.core.json import JsonError, NotCanonicalError, decode, decode_objects, free_text, newer_numbers
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.values import Effect, decode_effect, effect_hash, encode_effect
from ergo_cli.errors import BundleError, ReplayError
from ergo_cli.events.external import ContextRule, ContextValues, EventKind, ExternalEvent, InvalidPayload
from ergo_cli.supervisor.seam import Constraints, DecidedEffects, Decision, Failed, LogEntry, RunTermination

_encode = msgspec.json.Encoder().encode

_BLANKS = b" \t\r\n"
_COMPACT = re.compile(rb'(?:[^" \t\r\n]++|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z))++', re.DOTALL)
_ESCAPE = re.compile(rb"\\.", re.DOTALL)


class TextDigest:
    """The SHA-256 of the compact form of a JSON text in any layout; the text may be split into blocks anywhere."""

    def __init__(self) -> None:
        self._digest = sha256()
        self._held = b""  # a backslash at the end of a block is held until the character it escapes arrives
        self._in_string = False

    def update(self, block: bytes) -> None:
        """Add the next block of the text."""
        text = self._held + block
        escaping = (len(text) - len(text.rstrip(b"\\"))) % 2
        self._held = text[len(text) - escaping :]
        text = text[: len(text) - escaping]
        reopened = b'"' + text if self._in_string else text
        has_blanks = len(reopened.translate(None, _BLANKS)) < len(reopened)  # far faster than telling where they are
        compact = b"".join(_COMPACT.findall(reopened)) if has_blanks else reopened
        self._digest.update(compact[1:] if self._in_string else compact)
        self._in_string = _ESCAPE.sub(b"", reopened).count(b'"') % 2 == 1  # escapes stand inside strings alone

    def text(self) -> str:
        """``sha256:`` and the lower-case hex digest: the value of the member ``digest``."""
        return "sha256:" + self._digest.hexdigest()


FIX = "capture again, or restore the bundle from where it came"

_AT = re.compile(r" - at `\$(?:\.)?(.*)`$", re.DOTALL)
_WORDS = (
    ("Object missing required field ", "missing field "),
    ("Object contains unknown field ", "unknown field "),
    ("Invalid enum value ", "unknown variant "),
    ("Expected ", "expected "),
)


class RecordFault(BundleError):
    """A record that violates spec 11 §2: ``path`` inside it, ``index`` in its list, byte ``offset`` in its text."""

    def __init__(self, message: str, path: str = "", offset: int = 0) -> None:
        super().__init__("bundle.parse_failed", message, where=path or None, fix=FIX)
        self.path = path
        self.offset = offset
        self.index = 0


def parse_failed(label: str, message: str, where: str) -> BundleError:
    """The error for a file whose text is not a bundle."""
    return BundleError("bundle.parse_failed", f"'{label}' is not a capture bundle: {message}", where=where, fix=FIX)


def read_failed(label: str, message: str, fix: str = "check that the file is there, whole and readable") -> BundleError:
    """The error for a file that cannot be read."""
    return BundleError("bundle.read_failed", f"cannot read bundle '{label}': {message}", where=label, fix=fix)


def digest_mismatch(label: str, message: str) -> BundleError:
    """The error for a v4 bundle whose text was changed after it was written (spec 00 §5)."""
    return BundleError("bundle.digest_mismatch", f"bundle '{label}' was changed: {message}", where="digest", fix=FIX)


def describe(error: Exception) -> tuple[str, str]:
    """Reword the message of a decoder's exception; returns the message and the path that it names."""
    text = str(error)
    at = _AT.search(text)
    if at is not None:
        text = text[: at.start()]
    for theirs, ours in _WORDS:
        if text.startswith(theirs):
            text = ours + text.removeprefix(theirs)
    return text, at[1] if at else ""


def journal_invalid(label: str, why: str, where: str) -> BundleError:
    """The error for a bundle whose journals or artifacts violate spec 00 §13.4."""
    message = f"the journals of '{label}' are not what a capture writes: {why}"
    return BundleError("bundle.journal_invalid", message, where=where, fix=FIX)


class Version(Enum):
    """A bundle format that ergo writes."""

    V3 = "v3"
    V4 = "v4"


class Header(Struct, frozen=True):
    """The part of a bundle that is known before the first event."""

    graph_id: str
    constraints: Constraints
    runtime_provenance: str
    adapter_provenance: str = NO_ADAPTER


class EventRecord(Struct, frozen=True, gc=False):
    """One event as it reached the supervisor. ``payload_hash`` is the recorded hash, which may be wrong."""

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
    """One effect with its hash. ``text`` is the effect's compact JSON; ``effect_hash`` is the recorded hash."""

    text: bytes
    effect_hash: str

    @classmethod
    def of(cls, effect: Effect) -> Self:
        """Render and hash an effect. Raises ValueError for a value that JSON cannot hold (spec 11 §3.3)."""
        return cls.rendered(encode_effect(effect))

    @classmethod
    def rendered(cls, text: bytes) -> Self:
        """Hash an effect that is given as compact JSON."""
        return cls(text, effect_hash(text))

    @classmethod
    def recorded(cls, effect: Effect, hash_text: str) -> Self:
        """The effect with the hash that a bundle recorded for it."""
        return cls(encode_effect(effect), hash_text)

    @classmethod
    def newer(cls, text: bytes) -> Self:
        """Hash an effect as ``rendered`` does, with ``newer_numbers``."""
        return cls.rendered(newer_numbers(text))

    def has_own_hash(self, *, newer: bool) -> bool:
        """Whether the recorded hash is that of the effect, if ``newer`` of its text with ``newer_numbers``."""
        return effect_hash(newer_numbers(self.text) if newer else self.text) == self.effect_hash

    @property
    def effect(self) -> Effect:
        """The effect itself, read from its text."""
        return decode_effect(self.text)


class IntentAck(Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """A channel's acknowledgement that it accepted an intent; also the wire form."""

    intent_id: str
    channel: str
    status: str
    acceptance: str
    egress_ref: str | None = None


class DecisionRecord(Struct, frozen=True):
    """One decision and its results. Acks and interruption are evidence and never compared (spec 11 §8.3)."""

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
        """The record of a log entry with the host's additions (spec 11 §7.1–7.3)."""
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


def termination_name(termination: RunTermination) -> str:
    """``Completed``, ``Failed(SemanticError)`` and the like."""
    match termination:
        case Failed(kind):
            return f"Failed({kind.value})"
        case outcome:
            return outcome.value


class ProgramRecord(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The program of a v4 bundle; ``sources`` only where it is embedded (spec 00 §12.6)."""

    kind: str
    ref: str
    sources: tuple[ProgramSource, ...] | None = None


def payload_hash(payload: bytes) -> str:
    """Lower-case hex SHA-256 of payload bytes."""
    return sha256(payload).hexdigest()


class BundleSink(Protocol):
    """Takes the records of one run: each event before its decision, decisions in the order of their events."""

    def event(self, record: EventRecord) -> None:
        """Keep one event record."""
        ...

    def decision(self, record: DecisionRecord) -> None:
        """Keep one decision record, complete with its effects."""
        ...


@runtime_checkable
class StepSink(BundleSink, Protocol):
    """A sink that also takes many steps at once, without records being built for them."""

    def steps(self, decided: Sequence[DecidedEffects]) -> None:
        """Keep the event, the decision and the effects of each step."""
        ...


class PayloadHashMismatch(ReplayError):
    """The payload of an event record does not match its recorded hash."""

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


def rehydrate(
    record: EventRecord, numbers: Numbers = Numbers.EXACT, rule: ContextRule = ContextValues
) -> ExternalEvent:
    """The event of a record. Raises PayloadHashMismatch, and InvalidPayload where no event can be built from it."""
    check_payload(record)
    return ExternalEvent.with_payload(record.event_id, record.kind, record.event_time, record.payload, numbers, rule)


def rehydrate_for_replay(record: EventRecord, numbers: Numbers, rule: ContextRule = ContextValues) -> ExternalEvent:
    """The event of a record. Raises ReplayError ``replay.event_rehydrate_failed``, ``replay.hash_mismatch``."""
    try:
        return rehydrate(record, numbers, rule)
    except InvalidPayload as error:
        raise ReplayError(
            "replay.event_rehydrate_failed",
            f"event '{record.event_id}' cannot be rebuilt from its payload: {error}",
            where=f"event '{record.event_id}'",
            fix="restore the bundle from where it was captured; its payload is not what a run records",
            details=(str(error),),
        ) from error


def rehydrate_together(
    records: Sequence[EventRecord], numbers: Numbers = Numbers.EXACT, rule: ContextRule = ContextValues
) -> Iterable[ExternalEvent]:
    """Rehydrate many records, faster than one by one; errors of ``rehydrate`` are raised when iterated."""
    payloads = [record.payload for record in records]
    members = decode_objects(payloads) if numbers is Numbers.EXACT else None
    if members is None or [sha256(text).hexdigest() for text in payloads] != [
        record.payload_hash for record in records
    ]:
        return (rehydrate(record, numbers, rule) for record in records)
    ids, kinds = [record.event_id for record in records], [record.kind for record in records]
    return ExternalEvent.of_many(ids, kinds, [record.event_time for record in records], payloads, members, rule)


class JournalEntry(Struct, frozen=True):
    """The records of one episode, compact JSON each, with frames; ``episode_id`` is None for closing the program."""

    episode_id: int | None
    run_id: str
    records: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The entry with its digest, as compact JSON."""
        records = [Raw(record) for record in self.records]
        return _encode(WireEntry(self.episode_id, self.run_id, records, entry_digest(self.records)))


class WireEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """The wire form of an entry."""

    episode_id: int | None
    run_id: str
    records: list[Raw]
    sha256: str


class _WireArtifact(Struct, frozen=True, forbid_unknown_fields=True):
    """The wire form of an artifact: exactly one of the two members is set."""

    json: Raw | UnsetType = UNSET
    base64: str | UnsetType = UNSET


def entry_digest(records: Iterable[bytes]) -> str:
    """Lower-case hex SHA-256 over the compact text of every record, each followed by a line feed."""
    return sha256(b"".join(record + b"\n" for record in records)).hexdigest()


def artifact_text(data: bytes) -> bytes:
    """The value of an artifact: ``{"json":…}`` where canonical JSON gives these bytes again, else ``{"base64":…}``."""
    if _is_canonical(data):
        return _encode(_WireArtifact(json=Raw(data)))
    return _encode(_WireArtifact(base64=b64encode(data).decode()))


def artifact_bytes(text: bytes) -> bytes:
    """The bytes of an artifact. Raises ValueError unless ``artifact_text`` writes exactly ``text``."""
    wire = msgspec.json.decode(text, type=_WireArtifact)
    match wire.json, wire.base64:
        case Raw() as value, UnsetType():
            return free_text(decode(bytes(value)))
        case UnsetType(), str(coded):
            return b64decode(coded, validate=True)
        case _:
            raise ValueError("an artifact has exactly one of json, base64")


def _is_canonical(data: bytes) -> bool:
    try:
        return free_text(decode(data)) == data
    except (JsonError, NotCanonicalError):
        return False

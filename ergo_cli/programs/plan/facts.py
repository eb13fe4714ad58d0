"""Recorded IO: each fact key is answered at most once in a run (spec 50 §12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import nullcontext
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.json import NotCanonicalError, decode
from ergo_cli.core.wire import FreeValue, WireError
from ergo_cli.programs.plan.canonical import SecretsNotAllowed, canonical_json
from ergo_cli.programs.plan.errors import (
    ErrorCategory,
    ErrorInfo,
    Failure,
    IoError,
    MissingFact,
    MissingFactKey,
    RunError,
    StorageError,
    invalid_plan,
    io_failed,
    json_form,
    redacted,
)
from ergo_cli.programs.plan.events import CALL_FAILED, DomainEvent, Envelope, FactRecorded, fact_of, fact_recorded
from ergo_cli.programs.plan.payloads import payload_text, question, stored_bytes, stored_time, stored_value
from ergo_cli.programs.plan.secrets import is_suspicious
from ergo_cli.programs.plan.stream import Appender, Artifacts, Turn


class IoCall(Struct, frozen=True):
    """A question to the world; its answer is recorded under ``fact_key``, if it has one."""

    namespace: str
    request: FreeValue
    fact_key: str | None = None


class IoResult(Struct, frozen=True):
    """An answer, and the artifact that records it; None where nothing was recorded."""

    response: FreeValue
    recorded_payload_id: str | None = None


class Transport(Protocol):
    """Answers calls."""

    def __call__(self, call: IoCall, /) -> FreeValue:
        """The answer as plain JSON. Raises IoError."""
        ...


class FactIo(Protocol):
    """What a handler sees of the world. Every method raises IoError."""

    def call(self, namespace: str, request: FreeValue, fact_key: str | None = None) -> IoResult:
        """Ask the world, or return the answer that is recorded under ``fact_key``."""
        ...

    def record_value(self, key: str, value: FreeValue) -> str:
        """Record a value under a key unless one is recorded; returns the artifact of the recorded one."""
        ...

    def get_recorded_fact(self, key: str) -> str | None:
        """The artifact recorded under a key; None if there is none."""
        ...

    def now_millis(self) -> int:
        """Milliseconds since 1970, recorded."""
        ...

    def random_bytes(self, count: int) -> bytes:
        """Random bytes, recorded."""
        ...


class FactRefused(BaseException):
    """Fails an attempt that records what it may not. No Exception: a handler must not catch it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.info.message)
        self.failure = failure


class FactIndex:
    """Which artifact answers each fact key of a run; the first binding of a key stands."""

    def __init__(self) -> None:
        self._bound: dict[str, str] = {}

    @classmethod
    def of(cls, run_id: str, events: Sequence[Envelope]) -> FactIndex:
        """The facts of a stream, also those of failed and unfinished attempts.

        Raises RunError ``plan.fact_recorded_malformed``, and ``plan.fact_recorded_conflict`` for a key that is bound
        to two artifacts.
        """
        index = cls()
        index.read(run_id, events)
        return index

    def read(self, run_id: str, events: Iterable[Envelope]) -> None:
        """Bind the facts of a stream. Raises as ``of``."""
        for envelope in events:
            self._read(run_id, envelope)

    def get(self, key: str) -> str | None:
        """The artifact bound to a key."""
        return self._bound.get(key)

    def check(self, key: str) -> None:
        """Raise FactRefused where a key may not be recorded; here every one may."""

    def bind(self, key: str, artifact: str) -> None:
        """Bind a key."""
        self._bound[key] = artifact

    def unbind(self, key: str) -> None:
        """Take back a binding that could not be kept."""
        del self._bound[key]

    def _read(self, run_id: str, envelope: Envelope) -> None:
        event = envelope.domain
        if event is None:
            return
        where = f"run '{run_id}' seq {envelope.seq}"
        try:
            fact = fact_of(event)
        except WireError as error:
            message = f"the recorded fact at seq {envelope.seq} cannot be read: {error}"
            raise invalid_plan("fact_recorded_malformed", message, where=where) from error
        if fact is None:
            return
        known = self._bound.get(fact.key)
        if known is None:
            self.bind(fact.key, fact.payload_id)
        elif known != fact.payload_id:
            raise _conflict(fact.key, where)


class Ordinals:
    """Fact keys for time and randomness: one count for both in every attempt."""

    def __init__(self, run_id: str, state_id: str, attempt: int) -> None:
        self._place = f"run:{run_id}|state:{state_id}|attempt:{attempt}"
        self._next = 0

    def key(self, kind: str) -> str:
        """The next key of ``now_millis`` or ``random_bytes``."""
        ordinal = self._next
        self._next += 1
        return f"mfm:{kind}|{self._place}|ord:{ordinal}"


class Supervision(Struct, frozen=True):
    """What a run under a supervisor does besides, so that every attempt can be replayed (spec 50 §19, §21).

    A call without fact key is refused, the error of a call is recorded, and a call to one of the ``effectful``
    namespaces is queued as an intent instead of being made.
    """

    state_id: str
    attempt: int
    idempotency_key: str | None
    effectful: frozenset[str] = frozenset()


class LiveIo:
    """IO that reaches the world and records its answers. One for each attempt.

    ``wall_ms`` and ``entropy`` are sampled at every use. ``allowed`` are texts that look like secrets and are none,
    ``turn`` is what each record is made in.
    """

    def __init__(
        self,
        facts: FactIndex,
        artifacts: Artifacts,
        writer: Appender,
        transport: Transport,
        ordinals: Ordinals,
        wall_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
        supervision: Supervision | None = None,
        allowed: Set[str] = frozenset(),
        turn: Turn = nullcontext(),
    ) -> None:
        self._turn = turn
        self._supervision = supervision
        self.allowed = allowed
        self.facts = facts
        self.artifacts = artifacts
        self.writer = writer
        self._transport = transport
        self._ordinals = ordinals
        self._wall_ms = wall_ms
        self._entropy = entropy

    def call(self, namespace: str, request: FreeValue, fact_key: str | None = None) -> IoResult:
        """Ask the transport and record its answer, unless one is recorded under the key."""
        call, supervision = IoCall(namespace, request, fact_key), self._supervision
        if fact_key is None:
            if supervision is not None:
                raise missing_fact_key(namespace)
            return IoResult(self._transport(call))
        if supervision is not None:
            refuse_secret_key(fact_key, self.allowed)
        bound = self.facts.get(fact_key)
        if bound is not None:
            return IoResult(stored_value(self.artifacts, bound), bound)
        if supervision is not None and namespace in supervision.effectful:
            answer, meta = queued(call, supervision, self.allowed)
            return IoResult(answer, self.record(fact_key, payload_text(answer, self.allowed), meta))
        text = self._answer(call, fact_key)
        return IoResult(decode(text), self.record(fact_key, text, question(namespace, request, self.allowed)))

    def record_value(self, key: str, value: FreeValue) -> str:
        """Record a value; a key that is bound keeps its artifact, which must be readable."""
        bound = self.facts.get(key)
        if bound is None:
            return self.record(key, payload_text(value, self.allowed, what="the value"), {})
        stored_value(self.artifacts, bound)
        return bound

    def get_recorded_fact(self, key: str) -> str | None:
        """The artifact recorded under a key."""
        return self.facts.get(key)

    def now_millis(self) -> int:
        """The time of the clock, recorded."""
        now = self._wall_ms()
        if now < 0:
            raise io_failed("time_unavailable", "the clock stands before 1970")
        return stored_time(self.artifacts, self.record_value(self._ordinals.key("now_millis"), now))

    def random_bytes(self, count: int) -> bytes:
        """Random bytes, recorded as they are."""
        data = self._entropy(count)
        key = self._ordinals.key("random_bytes")
        return stored_bytes(self.artifacts, self.facts.get(key) or self.record(key, data, {}))

    def _answer(self, call: IoCall, key: str) -> bytes:
        """The text of the transport's answer.

        Under a supervisor the error of a call is recorded before the handler sees it, also the one of an answer that
        cannot be recorded, and any other exception of a transport.
        """
        try:
            return payload_text(self._transport(call), self.allowed)
        except (Exception, SystemExit) as error:
            if self._supervision is None:
                raise
            shown = recordable(error if isinstance(error, IoError) else _raised_by(call, error))
            self.writer.append(call_failed(self._supervision, key, shown))
            raise shown from error

    def record(self, key: str, data: bytes, meta: FreeValue) -> str:
        """Keep an answer, then bind its key in the stream; the binding is taken back if that fails."""
        try:
            artifact = self.artifacts.put(data)
        except StorageError as error:
            raise io_failed("fact_payload_put_failed", error.message, ErrorCategory.STORAGE) from error
        refuse_secret_key(key, self.allowed)
        with self._turn:
            self.facts.bind(key, artifact)
            try:
                self.writer.append(fact_recorded(FactRecorded(key, artifact, meta)))
            except StorageError as error:
                self.facts.unbind(key)
                raise io_failed("fact_binding_append_failed", error.message, ErrorCategory.STORAGE) from error
        return artifact


class ReplayIo:
    """IO that is answered from recorded facts alone; never writes. One for each attempt."""

    def __init__(self, facts: FactIndex, artifacts: Artifacts, ordinals: Ordinals, *, missing_retryable: bool) -> None:
        self._facts = facts
        self._artifacts = artifacts
        self._ordinals = ordinals
        self._missing_retryable = missing_retryable

    def call(self, namespace: str, request: FreeValue, fact_key: str | None = None) -> IoResult:
        """The recorded answer."""
        if fact_key is None:
            raise missing_fact_key(namespace)
        bound = self._bound(fact_key)
        return IoResult(stored_value(self._artifacts, bound), bound)

    def record_value(self, key: str, value: FreeValue) -> str:
        """The recorded artifact, whatever the value."""
        return self._bound(key)

    def get_recorded_fact(self, key: str) -> str | None:
        """The artifact recorded under a key."""
        return self._facts.get(key)

    def now_millis(self) -> int:
        """The recorded time."""
        return stored_time(self._artifacts, self._bound(self._ordinals.key("now_millis")))

    def random_bytes(self, count: int) -> bytes:
        """The recorded bytes, which must be as many."""
        data = stored_bytes(self._artifacts, self._bound(self._ordinals.key("random_bytes")))
        if len(data) != count:
            message = f"{len(data)} random bytes are recorded where {count} are asked for"
            raise io_failed("fact_payload_invalid", message, ErrorCategory.PARSING_INPUT)
        return data

    def _bound(self, key: str) -> str:
        bound = self._facts.get(key)
        if bound is None:
            message = f"no fact is recorded under '{key}'"
            info = ErrorInfo("missing_fact", ErrorCategory.RPC, self._missing_retryable, message)
            raise IoError(MissingFact(key, info))
        return bound


def queued(call: IoCall, supervision: Supervision, allowed: Set[str] = frozenset()) -> tuple[FreeValue, FreeValue]:
    """The answer to an effectful call, and what its binding says: the intent that is sent when the run completes.

    Raises IoError ``plan.missing_idempotency_key``, ``plan.secrets_detected``, ``plan.fact_payload_not_canonical``.
    """
    key = supervision.idempotency_key
    if not key:
        message = f"the state '{supervision.state_id}' calls '{call.namespace}' and has no idempotency key"
        raise io_failed("missing_idempotency_key", message, ErrorCategory.PARSING_INPUT)
    payload_text(call.request, allowed, what="the request")
    effect = {"idempotency_key": key, "namespace": call.namespace, "request": call.request}
    return {"idempotency_key": key, "queued": True}, {"effect": effect}


def refuse_secret_key(key: str, allowed: Set[str] = frozenset()) -> None:
    """Raise IoError ``plan.secrets_detected`` for a fact key that looks like a secret."""
    if key not in allowed and is_suspicious(key):
        raise io_failed("secrets_detected", "the fact key looks like a secret")


def recordable(error: IoError) -> IoError:
    """``error`` as it is recorded: without details that JSON cannot hold or that look secret, nor such a message."""
    info = error.info
    message = redacted(info).message
    try:
        canonical_json(info.details)
        details = info.details
    except (SecretsNotAllowed, NotCanonicalError):
        details = None
    return IoError(replace(error.form, info=replace(info, message=message, details=details)))


def call_failed(supervision: Supervision, key: str, error: IoError) -> DomainEvent:
    """The event that keeps the error of a call."""
    payload = {
        "attempt": supervision.attempt,
        "error": json_form(error.form),
        "key": key,
        "state_id": supervision.state_id,
    }
    return DomainEvent(CALL_FAILED, payload)


def missing_fact_key(namespace: str) -> IoError:
    """The error for a call that must be recorded and names no fact."""
    message = f"the call to '{namespace}' names no fact key"
    return IoError(MissingFactKey(ErrorInfo("missing_fact_key", ErrorCategory.PARSING_INPUT, False, message)))


def _raised_by(call: IoCall, error: BaseException) -> IoError:
    """The error for an exception of a transport that is no IoError: its class alone, its text may hold secrets."""
    message = f"the transport of '{call.namespace}' raised {type(error).__name__}"
    return io_failed("transport_exception", message, ErrorCategory.RPC)


def _conflict(key: str, where: str) -> RunError:
    message = f"the fact key '{key}' is bound to two different answers"
    return invalid_plan("fact_recorded_conflict", message, where=where)

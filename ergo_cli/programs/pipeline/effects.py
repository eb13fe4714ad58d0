"""Effects: the only way in which a stage may act on the world, recorded so that a replay need not (spec 60 §21)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from hashlib import sha256
from typing import Any, Protocol, TypeAlias, cast

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.core.json import NotCanonicalError, decode, free_text
from ergo_cli.core.numbers import U64_MAX
from ergo_cli.core.wire import FreeValue
from ergo_cli.errors import described, escaped
from ergo_cli.programs.pipeline.authoring import HandlerError
from ergo_cli.programs.pipeline.chain_events import ChainEvent, Data
from ergo_cli.programs.pipeline.counters import Count
from ergo_cli.programs.pipeline.errors import JournalError, PipelineError, UnfitRecord
from ergo_cli.programs.pipeline.ids import EventId

EFFECT_RECORD = "obzenflow.effect_record.v1"
"""The event type of outcomes."""

EFFECT_ATTEMPT = "obzenflow.effect_attempt.v1"
"""The event type of the records that precede an execution which may happen more than once."""

EFFECT_EVENTS = frozenset({EFFECT_RECORD, EFFECT_ATTEMPT})
"""The event types that are no data: no reader gets them."""


class Safety(Enum):
    """What a second execution of an effect would do."""

    IDEMPOTENT = "idempotent"
    NON_IDEMPOTENT_REQUIRES_KEY = "non_idempotent_requires_key"
    NON_IDEMPOTENT_AT_LEAST_ONCE = "non_idempotent_at_least_once"
    TRANSACTIONAL = "transactional"


class EffectType(Struct, frozen=True):
    """A type of effect: its executor, a callable or ``"module:attribute"``, its safety class and schema version.

    ``execute(input, call)`` gives the output as JSON; ``call`` is an ``EffectCall``. It fails by raising
    ``EffectFailed``, which is recorded as any other exception is.
    """

    execute: Callable[..., Any] | str
    safety: Safety = Safety.IDEMPOTENT
    schema_version: int = 1

    def recorded(self) -> Mapping[str, FreeValue]:
        """What a manifest holds of it."""
        return {"safety": self.safety.value, "schema_version": self.schema_version}


class EffectFailed(HandlerError):
    """An effect failed, now or when it was recorded; ``retryable`` says whether another try may help."""

    def __init__(self, error_type: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.error_type = escaped(str(error_type))
        self.retryable = bool(retryable)


class EffectFault(PipelineError):
    """An effect that must not be performed; whatever the handler does then, its stage fails.

    ``cursor`` is the call's, ``descriptor`` what it asks for, None where that is not known.
    """

    def __init__(
        self, code: str, cursor: Cursor, message: str, *, fix: str, descriptor: Descriptor | None = None
    ) -> None:
        super().__init__(code, f"an effect cannot be performed: {message}", where=str(cursor), fix=fix)
        self.cursor = cursor
        self.descriptor = descriptor


Place: TypeAlias = tuple[str, int, int]
"""A stage, one of its inputs, a call within it."""


class Cursor(Struct, frozen=True):
    """Where an effect was called: the input of the stage, by its position, and the call within it, both from 0."""

    recorded_flow_id: str
    stage_key: str
    input_seq: Count
    effect_ordinal: Count

    @property
    def place(self) -> Place:
        """The call, whatever its flow is called."""
        return self.stage_key, self.input_seq, self.effect_ordinal

    @property
    def group_id(self) -> str:
        """The id of the records of this call, which are appended at once; lengths in bytes."""
        flow, key = self.recorded_flow_id, self.stage_key
        sized = f"{len(flow.encode())}:{flow}:{len(key.encode())}:{key}"
        return f"effect-outcome:v1:{sized}:{self.input_seq}:{self.effect_ordinal}"

    @property
    def event_time(self) -> int:
        """The event time of the records of this call."""
        return min(self.input_seq * 1000 + self.effect_ordinal, U64_MAX)

    def record_id(self, event_type: str) -> EventId:
        """The id of the record of this type."""
        return EventId.digest_of(f"effect-record:v1:{event_type}:{self._place}:{self.effect_ordinal}")

    def output_id(self, output_ordinal: int) -> EventId:
        """The id of an event made of the effect's output."""
        return EventId.digest_of(f"{self._place}:{output_ordinal}")

    @property
    def _place(self) -> str:
        return f"{self.recorded_flow_id}:{self.stage_key}:{self.input_seq}"

    def __str__(self) -> str:
        return f"stage '{self.stage_key}' input {self.input_seq} effect {self.effect_ordinal}"


class Binding(Struct, frozen=True, omit_defaults=True):
    """What an effect is bound to: nothing, or the named thing that ``evidence`` describes."""

    mode: str
    evidence: FreeValue = None


PORTLESS = Binding("portless")


class Descriptor(Struct, frozen=True):
    """What was asked for: an equal one gets the recorded answer."""

    effect_type: str
    label: str
    schema_version: Count
    stage_logic_version: str
    canonical_input_hash: str
    binding: Binding = PORTLESS

    @property
    def hash(self) -> str:
        """The canonical hash of the descriptor."""
        return canonical_hash(decode(wire.encode(self)))


class Retry(Enum):
    """Whether another try may help."""

    RETRYABLE = "retryable"
    NOT_RETRYABLE = "not_retryable"


class _Outcome(Struct, frozen=True, tag_field="outcome"):
    """How an effect ended."""


class Succeeded(_Outcome, frozen=True, tag="succeeded"):
    """With an output."""

    output: FreeValue


class SucceededFact(_Outcome, frozen=True, tag="succeeded_fact"):
    """With outputs that are events of their own, this one of so many."""

    event_type: str
    output: FreeValue
    outcome_fact_ordinal: Count
    outcome_fact_count: Count


class FailedOutcome(_Outcome, frozen=True, tag="failed"):
    """With an error."""

    error_type: str
    error_message: str
    retry: Retry


class AttemptStarted(_Outcome, frozen=True, tag="attempt_started"):
    """Not yet: it is about to be executed for this time, from 1."""

    attempt: Count


Outcome = Succeeded | SucceededFact | FailedOutcome | AttemptStarted


class EffectRecord(Struct, frozen=True):
    """The payload of an effect's record."""

    cursor: Cursor
    descriptor_hash: str
    descriptor: Descriptor
    outcome: Outcome

    @property
    def event_type(self) -> str:
        """The type of the event that carries it."""
        return EFFECT_ATTEMPT if isinstance(self.outcome, AttemptStarted) else EFFECT_RECORD

    @property
    def event_id(self) -> EventId:
        """The id of that event."""
        event_type = self.event_type
        if isinstance(self.outcome, AttemptStarted) and self.outcome.attempt > 1:
            event_type = f"{event_type}#{self.outcome.attempt}"
        return self.cursor.record_id(event_type)


def effect_of(event: ChainEvent) -> EffectRecord | None:
    """The record of an effect that an event carries, if it does. Raises WireError."""
    content = event.content
    if not isinstance(content, Data) or content.event_type not in EFFECT_EVENTS:
        return None
    return cast("EffectRecord", wire.read(content.payload, EffectRecord))


class EffectCall(Struct, frozen=True):
    """What an executor is told of a call beside the input; ``key`` is its idempotency key."""

    effect_type: str
    label: str
    key: str | None
    cursor: Cursor


class EffectHistory(Protocol):
    """What is recorded of effects."""

    @property
    def is_replay(self) -> bool:
        """Whether nothing may be executed."""
        ...

    def at(self, cursor: Cursor, asked: Descriptor) -> Sequence[EffectRecord]:
        """The records of a call that asks for this, in order; none where it was never made."""
        ...


class NoHistory:
    """The history of a new flow: there is none, and effects are executed."""

    is_replay = False

    def at(self, cursor: Cursor, asked: Descriptor) -> Sequence[EffectRecord]:
        """Nothing."""
        return ()


class RecordedHistory:
    """The history of a recorded flow; a replay, unless it goes on live.

    A call is that of its stage, input and ordinal, whatever the flow is called now.
    """

    def __init__(self, records: Iterable[EffectRecord] = (), *, is_replay: bool = True) -> None:
        self.is_replay = is_replay
        self._records: dict[Place, list[EffectRecord]] = {}
        self.add(records)

    def add(self, records: Iterable[EffectRecord]) -> None:
        """Take more of the flow in."""
        for record in records:
            self._records.setdefault(record.cursor.place, []).append(record)

    def at(self, cursor: Cursor, asked: Descriptor) -> Sequence[EffectRecord]:
        """The records of the call, whatever it asks for."""
        return self._records.get(cursor.place, ())


class Acted(Struct, frozen=True):
    """An effect that a stage performed, or was served: what ergo makes an ``io`` effect of."""

    stage: str
    effect_type: str
    input: FreeValue
    key: str | None


class EffectsOfFlow(Struct, frozen=True):
    """What all stages of a flow perform effects with.

    ``execute`` calls an executor, within what limits the driver sets; ``acted`` hears of every effect.
    """

    flow_id: str
    types: Mapping[str, EffectType]
    history: EffectHistory
    execute: Callable[[Callable[[], object]], object]
    acted: Callable[[Acted], object]


class Effects:
    """What a handler gets as ``effects``, for the time of its call; performs one effect at a time.

    An effect that came later, or at the same time as another, would have no certain place among the records.
    """

    def __init__(self, stage: EffectsOfStage) -> None:
        self._stage = stage

    def perform(
        self, effect_type: str, input: FreeValue = None, *, key: str | None = None, label: str | None = None
    ) -> FreeValue:
        """Perform an effect, or get the recorded outcome; returns its output.

        Raises EffectFailed for a failure, new or recorded, EffectFault where it must not be performed, JournalError
        where it cannot be recorded, PipelineError ``pipeline.effect_out_of_turn`` where it would have no certain place,
        and TypeError or ValueError for a key or a label that is no text, or none that can be written. The stage ends
        with the first fault, or the journal's error, whatever its handler makes of it.
        """
        for name, text in (("key", key), ("label", label)):
            if not isinstance(cast(object, text), str | None):
                raise TypeError(f"the {name} of an effect is a text, not {type(text).__name__}")
            if text is not None and text != escaped(text):
                raise ValueError(f"the {name} of an effect holds a lone surrogate")
        with self._stage.turn_of(self) as cursor:
            return self._stage.perform(cursor, effect_type, input, key, effect_type if label is None else label)


class EffectsOfStage:
    """The effects of one stage, numbered by its inputs; ``fault`` is what the current call ends with."""

    def __init__(
        self, flow: EffectsOfFlow, stage: str, logic_version: str, append: Callable[[Sequence[EffectRecord]], object]
    ) -> None:
        self._flow = flow
        self._stage = stage
        self._logic_version = logic_version
        self._append = append
        self._input_seq = 0
        self._ordinal = 0
        self._current: Effects | None = None
        self._is_performing = False
        self.fault: EffectFault | JournalError | None = None

    def begin(self, input_seq: int) -> Effects:
        """Begin a call for the input at this position; effects are numbered on from those of earlier calls for it."""
        if input_seq != self._input_seq:
            self._input_seq, self._ordinal = input_seq, 0
        self.fault = None
        self._current = Effects(self)
        return self._current

    def end(self) -> None:
        """End the call: its effects perform nothing any more."""
        self._current = None

    @contextmanager
    def turn_of(self, effects: Effects) -> Generator[Cursor]:
        """The place of the next effect. Raises PipelineError ``pipeline.effect_out_of_turn``."""
        if effects is not self._current:
            raise self._out_of_turn("the handler that got these effects has returned")
        if self._is_performing:
            raise self._out_of_turn("another effect of the stage is being performed")
        if isinstance(self.fault, JournalError):  # nothing more is performed, since nothing can be recorded
            raise self.fault
        cursor = Cursor(self._flow.flow_id, self._stage, self._input_seq, self._ordinal)
        self._ordinal, self._is_performing = self._ordinal + 1, True
        try:
            yield cursor
        except JournalError as error:
            self.fault = error
            raise
        except EffectFault as fault:
            self.fault = self.fault or fault
            raise
        finally:
            self._is_performing = False

    def _out_of_turn(self, why: str) -> PipelineError:
        message = f"an effect cannot be performed: {why}"
        return PipelineError("pipeline.effect_out_of_turn", message, where=f"stage '{self._stage}'")

    def perform(self, cursor: Cursor, name: str, given: FreeValue, key: str | None, label: str) -> FreeValue:
        """Perform the effect of this place, or take its outcome from the history; raises as ``Effects.perform``."""
        kind = self._flow.types.get(name)
        if kind is None:
            known = ", ".join(self._flow.types) or "none"
            raise _fault("pipeline.effect_unknown", cursor, f"the program has no effect '{name}', it has {known}")
        if kind.safety is Safety.NON_IDEMPOTENT_REQUIRES_KEY and not key:
            raise _fault("pipeline.missing_idempotency_key", cursor, f"the effect '{name}' needs a key")
        try:
            given = decode(free_text(given))
        except NotCanonicalError as error:
            message = f"the input of '{name}' is no JSON{error.place}: {error}"
            raise _fault("pipeline.not_canonical", cursor, message) from error
        descriptor = Descriptor(name, label, kind.schema_version, self._logic_version, canonical_hash(given))
        recorded = self._flow.history.at(cursor, descriptor)
        self._flow.acted(Acted(self._stage, name, given, key))
        outcome = _recorded_outcome(cursor, descriptor, recorded)
        if outcome is not None:
            self._append_again(recorded)
            return _result(outcome)
        attempts = len(recorded)
        if self._flow.history.is_replay:
            raise _unrecorded(cursor, descriptor, attempts)
        if attempts and kind.safety is not Safety.NON_IDEMPOTENT_AT_LEAST_ONCE:
            raise _in_doubt(cursor, descriptor, attempts)
        if kind.safety is Safety.NON_IDEMPOTENT_AT_LEAST_ONCE:
            self._append_again(recorded)
            self._append([EffectRecord(cursor, descriptor.hash, descriptor, AttemptStarted(attempts + 1))])
        outcome = self._executed(kind, given, EffectCall(name, label, key, cursor))
        return _result(self._recorded(EffectRecord(cursor, descriptor.hash, descriptor, outcome)))

    def _recorded(self, record: EffectRecord) -> Succeeded | FailedOutcome:
        """Record an outcome; an output that no record can hold is one of an effect that failed."""
        try:
            self._append([record])
        except UnfitRecord as error:
            failed = FailedOutcome(NotCanonicalError.__name__, described(error.__cause__ or error), Retry.NOT_RETRYABLE)
            record = replace(record, outcome=failed)
            self._append([record])
        assert isinstance(record.outcome, Succeeded | FailedOutcome)
        return record.outcome

    def _append_again(self, recorded: Sequence[EffectRecord]) -> None:
        """Append what is recorded of a call as it was: each attempt by itself, its outcome at once."""
        attempts = [record for record in recorded if isinstance(record.outcome, AttemptStarted)]
        outcome = [record for record in recorded if not isinstance(record.outcome, AttemptStarted)]
        for attempt in attempts:
            self._append([attempt])
        if outcome:
            self._append(outcome)

    def _executed(self, kind: EffectType, given: FreeValue, call: EffectCall) -> Succeeded | FailedOutcome:
        execute = kind.execute
        if isinstance(execute, str):
            raise _fault("pipeline.effect_not_loaded", call.cursor, f"the executor '{execute}' was not loaded")
        try:
            output = self._flow.execute(lambda: execute(given, call))
            return Succeeded(decode(free_text(output)))
        except EffectFailed as error:
            retry = Retry.RETRYABLE if error.retryable else Retry.NOT_RETRYABLE
            return FailedOutcome(error.error_type, error.message, retry)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - what a user's executor raises is how the effect ended
            return FailedOutcome(type(error).__name__, described(error), Retry.NOT_RETRYABLE)


def canonical_hash(value: FreeValue) -> str:
    """SHA-256, in hex, of the compact JSON of a value with members ascending at every level."""
    return sha256(free_text(value)).hexdigest()


def _recorded_outcome(
    cursor: Cursor, descriptor: Descriptor, recorded: Sequence[EffectRecord]
) -> Succeeded | SucceededFact | FailedOutcome | None:
    """The one outcome among the records of a call; None where it has none. Raises EffectFault."""
    for record in recorded:
        if record.descriptor_hash != descriptor.hash:
            asked, kept = descriptor.hash[:12], record.descriptor_hash[:12]
            message = f"'{descriptor.effect_type}' asks for {asked}, recorded is {kept}"
            raise _fault("pipeline.descriptor_mismatch", cursor, message, descriptor)
    outcomes = [record.outcome for record in recorded if not isinstance(record.outcome, AttemptStarted)]
    if not outcomes:
        return None
    first = outcomes[0]
    expected = first.outcome_fact_count if isinstance(first, SucceededFact) else 1
    if len(outcomes) < expected:
        message = f"{len(outcomes)} of {expected} records of its outcome are there"
        raise _fault("pipeline.incomplete_outcome_group", cursor, message)
    if len(outcomes) > expected:
        raise _fault(
            "pipeline.duplicate_recorded_effect", cursor, f"{len(outcomes)} outcomes are recorded, not {expected}"
        )
    return first


def _result(outcome: Succeeded | SucceededFact | FailedOutcome) -> FreeValue:
    if isinstance(outcome, FailedOutcome):
        raise EffectFailed(outcome.error_type, outcome.error_message, retryable=outcome.retry is Retry.RETRYABLE)
    return decode(free_text(outcome.output))


def _unrecorded(cursor: Cursor, descriptor: Descriptor, attempts: int) -> EffectFault:
    if attempts:
        return _in_doubt(cursor, descriptor, attempts)
    message = f"'{descriptor.effect_type}' was never recorded there, and a replay executes nothing"
    return _fault("pipeline.missing_recorded_effect", cursor, message, descriptor)


def _in_doubt(cursor: Cursor, descriptor: Descriptor, attempt: int) -> EffectFault:
    started = f"attempt {attempt} of '{descriptor.effect_type}' was started"
    return _fault("pipeline.effect_in_doubt", cursor, f"{started}, how it ended is not recorded")


_FIXES = {
    "pipeline.effect_unknown": "name it in the effects of the program",
    "pipeline.effect_not_loaded": "give the function itself: an executor named by a text is imported by ergo alone",
    "pipeline.missing_idempotency_key": "give effects.perform a key that names this effect and no other",
    "pipeline.not_canonical": "give it finite floats, integers of 64 bits, valid text and at most 127 levels",
    "pipeline.effect_in_doubt": "find out whether it took place, then capture again",
    "pipeline.missing_recorded_effect": "capture again: today's program asks for another effect there",
    "pipeline.descriptor_mismatch": "capture again: today's program asks for another effect there",
}


def _fault(code: str, cursor: Cursor, message: str, descriptor: Descriptor | None = None) -> EffectFault:
    fix = _FIXES.get(code, "restore the records from a copy")
    return EffectFault(code, cursor, message, fix=fix, descriptor=descriptor)

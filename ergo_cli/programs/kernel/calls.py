"""One event of a kernel program: name its run, begin a call, take the event's step, end the episode.

Spec 00 §13.2 (run ids), §13.4 (beginning of a call), §13.5 (effects of an episode); spec 40 §19.1 (steps and ends).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import Generic, TypeVar, assert_never, cast

from msgspec import Struct

from ergo_cli.core import wire
from ergo_cli.core.json import free_text
from ergo_cli.core.values import Effect, Intent, IntentField, ProducedEffect, Value, Write, derive_intent_id
from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.kernel.engine.actions import (
    InterruptRaise,
    LLMCall,
    Resume,
    RuntimeEffect,
    SignalWait,
    StateWrite,
    ToolCall,
)
from ergo_cli.programs.kernel.engine.errors import ActionErrorKind, Category, KernelError, at, driver_error
from ergo_cli.programs.kernel.engine.events import (
    BlockedInfo,
    Interrupted,
    InterruptInfo,
    RunBlocked,
    RunCompleted,
    RunFailed,
    RunLog,
    RunStatus,
)
from ergo_cli.programs.kernel.engine.policy import Attempt, is_deadline
from ergo_cli.programs.kernel.engine.state import InitialStates, StateCodec
from ergo_cli.programs.kernel.program import Kernel, KernelProgram
from ergo_cli.stores.journals import EventJournal, SnapshotStore
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome, RunTermination

S = TypeVar("S")


_MEMBER = "$payload."


class RunIdRule(Struct, frozen=True):
    """Which run an event belongs to: its own (both None), a fixed one, or the one that a payload member names."""

    text: str | None = None
    member: str | None = None

    @classmethod
    def of(cls, text: str | None) -> RunIdRule:
        """The rule of a profile's ``run_id``. Raises ValueError for a text that cannot name a run."""
        if text is None:
            return cls()
        if text.startswith(_MEMBER):
            return cls(member=text.removeprefix(_MEMBER))
        if not is_run_id(text):
            raise ValueError(f"a run id is a text without control characters, got {text!r}")
        return cls(text=text)

    @property
    def is_shared(self) -> bool:
        """Whether several events may share a run."""
        return self != RunIdRule()

    def run_id(self, graph_id: str, event_id: str, payload: FreeValue) -> str:
        """The run of an event. Raises KernelError if its payload does not name one."""
        if self.member is None:
            return f"{graph_id}/{event_id}" if self.text is None else self.text
        named = cast("dict[str, object]", payload).get(self.member) if isinstance(payload, dict) else None
        if isinstance(named, str) and is_run_id(named):
            return named
        message = f"the payload has no member '{self.member}' that names a run"
        fix = f"give the event a member '{self.member}': a text without control characters"
        raise KernelError(Category.DRIVER, message, where=f"event '{event_id}'", fix=fix)


def is_run_id(text: str) -> bool:
    """Whether a text can name a run: not empty, valid Unicode, without control characters (spec 40 §3.1)."""
    return bool(text) and not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


class CallBegin(Struct, frozen=True):
    """The beginning of a call (spec 00 §13.4); ``error`` is set if the call cannot be made.

    ``prior`` holds the records up to ``head`` as a JSON array if the bundle does not have them yet, ``initial`` the
    text of the first state at the first call of a run.
    """

    head: int = 0
    prior: bytes | None = None
    initial: bytes | None = None
    error: KernelError | None = None


class KnownRuns(Generic[S]):
    """The runs that calls were made for: their first states, and how far the bundle has their records.

    With ``snapshots`` first states are stored, so that a later process can continue a run.
    """

    def __init__(self, program: KernelProgram[S], journal: EventJournal, snapshots: SnapshotStore | None) -> None:
        self._program = program
        self._journal = journal
        self._codec: StateCodec[S] = program.codec
        self._kept = None if snapshots is None else InitialStates(snapshots, self._codec)
        self._initials: dict[str, S] = {}
        self._heads: dict[str, int] = {}

    def start(self, run_id: str, payload: FreeValue) -> CallBegin:
        """Begin the next call of a run; ``payload`` makes the first state of a new one."""
        log, head, prior = RunLog(self._journal, run_id), 0, None
        try:
            head = log.head()
            prior = self._prior(log, head)
            return CallBegin(head, prior, self._begun(run_id, head, payload))
        except KernelError as error:
            return CallBegin(head, prior, error=error)

    def initial(self, run_id: str) -> S:
        """The first state of a started run: a copy, since a careless reducer may change it in place."""
        return self._codec.copy(self._initials[run_id])

    def advanced(self, run_id: str, head: int) -> None:
        """Remember that the bundle has the records of a run up to ``head``."""
        self._heads[run_id] = head

    def forget(self) -> None:
        """Forget all runs; no further call is made for them."""
        self._initials.clear()
        self._heads.clear()

    def _prior(self, log: RunLog, head: int) -> bytes | None:
        if head == self._heads.get(log.run_id, 0):
            return None
        return b"[" + b",".join(map(wire.encode, log.scan(1, head))) + b"]"

    def _begun(self, run_id: str, head: int, payload: FreeValue) -> bytes | None:
        """The text of the first state of a run at its first call, else None."""
        if run_id in self._initials:
            return None
        state = self._known(run_id, head, payload)
        text = self._codec.encode(state)
        self._initials[run_id] = state
        return text

    def _known(self, run_id: str, head: int, payload: FreeValue) -> S:
        """The first state: the stored one if the run has events, else the one that the payload makes."""
        found = None if self._kept is None or head == 0 else self._kept.find(run_id)
        if found is not None:
            return found
        state = self._program.first_state(payload)
        if self._kept is not None and head == 0:
            self._kept.keep(run_id, state)
        return state


class EventStep(Struct, frozen=True):
    """What one event does to its run: ``is_shared`` if several events share the run, ``is_retry`` in later attempts."""

    payload: FreeValue
    is_shared: bool
    is_retry: bool

    def take(self, kernel: Kernel[S], run_id: str, initial: S) -> RunStatus:
        """Begin the run, resume it or drive it on, depending on the end of its log; leave a run that is done.

        Raises KernelError, ``kernel.already_completed`` for a shared run that is done.
        """
        end = kernel.log_end(run_id)
        if end.head == 0:
            return kernel.run_until_blocked(run_id, initial)
        if end.broken_off:
            return self._go_on(kernel, run_id, initial)
        if isinstance(end.lifecycle, Interrupted):
            return self._answer(kernel, run_id, initial, end.lifecycle)
        if end.is_completed:
            return self._leave(run_id)
        return self._go_on(kernel, run_id, initial)

    def _answer(self, kernel: Kernel[S], run_id: str, initial: S, interrupted: Interrupted) -> RunStatus:
        if self.is_shared and not self.is_retry:
            return kernel.resume(run_id, initial, Resume(self.payload))
        return RunBlocked(BlockedInfo(interrupt=InterruptInfo(interrupted.value)))

    def _leave(self, run_id: str) -> RunStatus:
        if self.is_shared:
            # Bundles keep the message and replay compares it: its wording is part of the format.
            message = "the run is already completed: nobody waits for this event"
            raise driver_error(message, code="kernel.already_completed", where=at(run_id))
        return RunCompleted()

    def _go_on(self, kernel: Kernel[S], run_id: str, initial: S) -> RunStatus:
        """Continue a run that failed, timed out or crashed; a new event resumes it, so that it is never stuck."""
        if self.is_shared and not self.is_retry:
            return kernel.resume(run_id, initial, Resume(self.payload), strict=False)
        return kernel.run_until_blocked(run_id, initial)


_STORES = (Category.EVENT_STORE, Category.SNAPSHOT_STORE)


def termination_of_status(status: RunStatus, last: Attempt | None) -> RunTermination:
    """The termination of a call that ended with a status; ``last`` is its last failed try, if any.

    A run that waits is Completed for this episode.
    """
    if not isinstance(status, RunFailed):
        return Outcome.COMPLETED
    exhausted = last is not None and last.delay_ms is None and last.kind is not ActionErrorKind.PERMANENT
    return Failed(ErrKind.NETWORK_TIMEOUT if exhausted else ErrKind.SEMANTIC_ERROR)


def termination_of_error(error: KernelError) -> RunTermination:
    """The termination of a call that raised."""
    if is_deadline(error):
        return Outcome.TIMED_OUT
    if is_store_failure(error):
        return Failed(ErrKind.ADAPTER_UNAVAILABLE)
    if error.category is Category.POLICY or error.code == "kernel.already_completed":
        return Failed(ErrKind.VALIDATION_FAILED)
    return Failed(ErrKind.RUNTIME_ERROR)


def is_store_failure(error: KernelError) -> bool:
    """Whether a store failed; ``kernel.event_store`` itself means a payload that the default reducer cannot take."""
    return error.category in _STORES and error.code != Category.EVENT_STORE.code


class EpisodeEffects:
    """An EffectSink that renders the effects of one attempt, in order of occurrence (spec 00 §13.5)."""

    def __init__(self, graph_id: str, event_id: str) -> None:
        self._graph_id = graph_id
        self._event_id = event_id
        self._ordinals: Counter[tuple[str, str]] = Counter()
        self.produced: list[ProducedEffect] = []
        """The effects so far."""

    def record(self, run_id: str, effect: RuntimeEffect) -> None:
        """Record an effect."""
        self.produced.append(ProducedEffect.of(self._effect(run_id, effect)))

    def _effect(self, run_id: str, effect: RuntimeEffect) -> Effect:
        match effect:
            case StateWrite(step_id, payload):
                key = "state" if step_id is None else f"state:{step_id}"
                return Effect("state_write", [Write(key, Value(String=_canonical_text(payload)))])
            case LLMCall(provider, value):
                return self._intent(run_id, "llm_call", provider=provider, input=_canonical_text(value))
            case ToolCall(tool, value):
                return self._intent(run_id, "tool_call", tool=tool, input=_canonical_text(value))
            case InterruptRaise(value):
                return self._intent(run_id, "interrupt", value=_canonical_text(value))
            case SignalWait(name):
                return self._intent(run_id, "interrupt", wait_signal=name)
            case _:
                assert_never(effect)

    def _intent(self, run_id: str, kind: str, **fields: str) -> Effect:
        ordinal = self._ordinals[run_id, kind]
        self._ordinals[run_id, kind] += 1
        intent_id = derive_intent_id(self._graph_id, self._event_id, run_id, kind, ordinal)
        named = [IntentField(name, Value(String=text)) for name, text in fields.items()]
        return Effect(kind, [], [Intent(kind, intent_id, named)])


def _canonical_text(value: FreeValue) -> str:
    return free_text(value).decode()

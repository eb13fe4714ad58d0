"""Replay: the engine itself on the recorded stream, each thing that it appends compared, the world's answers served.

Where today's attempt parts from the recorded one, the difference is noted, the attempt ends as it was recorded, and the
next one is judged on the recorded records before it (spec 50 §19).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NoReturn, cast

from msgspec import Struct

from ergo_cli.core import wire
from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.plan.attempts import (
    AttemptResult,
    FailedAttempt,
    LiveAttempts,
    Succeeded,
)
from ergo_cli.programs.plan.children import SPAWN, ChildRuns
from ergo_cli.programs.plan.engine import Engine, Scheduler, is_given_up
from ergo_cli.programs.plan.errors import IoError, IoForm
from ergo_cli.programs.plan.events import (
    CALL_FAILED,
    FACT_RECORDED,
    Domain,
    DomainEvent,
    Envelope,
    FactRecorded,
    RunCompleted,
    RunStarted,
    RunStatus,
    StateCompleted,
    StateEntered,
    StateFailed,
    fact_of,
    fact_recorded,
    line,
    read_line,
)
from ergo_cli.programs.plan.facts import (
    FactIndex,
    FactIo,
    IoCall,
    IoResult,
    LiveIo,
    Ordinals,
    Transport,
    refuse_secret_key,
)
from ergo_cli.programs.plan.ids import RunId, child_run
from ergo_cli.programs.plan.manifest import RunConfig
from ergo_cli.programs.plan.payloads import stored_value
from ergo_cli.programs.plan.program import PlanProgram
from ergo_cli.programs.plan.states import State
from ergo_cli.programs.plan.stream import Turn, Writer
from ergo_cli.programs.plan.time_limits import STATE_TIMEOUT
from ergo_cli.programs.plan.transports import TransportEnv, TransportFactory
from ergo_cli.stores.artifacts import ArtifactStore


class Parting(Struct, frozen=True):
    """Where today's run parts from the recorded one: the records of both sides, None where a side has none.

    ``attempt`` is the state and its number; ``cause`` the name of the difference (spec 50 §19).
    """

    run_id: str
    seq: int
    cause: str
    expected: Envelope | None
    actual: Envelope | None
    attempt: str | None = None


class Parted(BaseException):
    """Ends today's attempt at its first difference. No Exception: a handler must not catch it."""

    def __init__(self, parting: Parting) -> None:
        super().__init__(parting.cause)
        self.parting = parting


class CallOver(BaseException):
    """The recorded call goes no further: a deadline or a store ended it there, or today's run parted from it."""


class RecordedJournal:
    """An EventJournal that holds recorded streams, and accepts of today's appends what was recorded.

    ``streams`` are the runs, ``heads`` how much of each stood there before. ``partings`` collects the differences.
    """

    def __init__(self, streams: Mapping[str, Sequence[Envelope]], heads: Mapping[str, int]) -> None:
        self._streams = streams
        self._heads = dict(heads)
        self.partings: list[Parting] = []
        self.attempt: str | None = None

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Compare with what was recorded next. Raises Parted, and CallOver behind the last record."""
        for text in texts:
            today = read_line(text.encode())
            recorded = self.following(run)
            if recorded is None:
                raise CallOver
            if line(recorded) != text.encode():
                self._differs(run, recorded, today)
            self._heads[run] = recorded.seq
        return self.head(run)

    def scan(self, run: str, start: int = 1, to: int | None = None) -> Iterator[tuple[int, str]]:
        """The records of a run up to where today's run stands."""
        head = self.head(run) if to is None else min(to, self.head(run))
        for envelope in self._streams.get(run, ())[max(start, 1) - 1 : head]:
            yield envelope.seq, line(envelope).decode()

    def head(self, run: str) -> int:
        """How far today's run has come."""
        return self._heads.get(run, 0)

    def runs(self) -> list[str]:
        """The runs that have come somewhere."""
        return sorted(run for run, head in self._heads.items() if head)

    def following(self, run: str) -> Envelope | None:
        """The record that comes next; None behind the last."""
        stream, head = self._streams.get(run, ()), self.head(run)
        return stream[head] if head < len(stream) else None

    def rest_of_attempt(self, run: str) -> Iterator[Envelope]:
        """Go on to the end of the recorded attempt; its end is the last of what is yielded."""
        while (recorded := self.following(run)) is not None:
            self._heads[run] = recorded.seq
            yield recorded
            if isinstance(recorded.kernel, StateCompleted | StateFailed):
                return

    def knows(self, run: str) -> bool:
        """Whether records of the run are there."""
        return bool(self._streams.get(run))

    def end_of_attempt(self, run: str) -> StateCompleted | StateFailed | None:
        """How the attempt that comes next ends; None for one that was cut off, which is not made again."""
        stream = self._streams.get(run, ())
        for place in range(self.head(run) + 1, len(stream)):
            match stream[place].kernel:
                case StateEntered():
                    return None
                case StateCompleted() | StateFailed() as end:
                    return end
                case _:
                    pass
        return None

    def pass_orphans(self, run: str) -> Iterator[Envelope]:
        """Go past attempts that were cut off and made again: they are not judged."""
        while self.end_of_attempt(run) is None:
            rest = self._streams.get(run, ())[self.head(run) :]
            again = next((each for each in rest[1:] if isinstance(each.kernel, StateEntered)), None)
            if again is None or not isinstance(rest[0].kernel, StateEntered):
                return
            yield from rest[: again.seq - rest[0].seq]
            self._heads[run] = again.seq - 1

    def parts(self, run: str, cause: str, actual: Envelope | None = None) -> NoReturn:
        """Today's run parts from the record that comes next."""
        recorded = self.following(run)
        raise Parted(Parting(run, self.head(run) + 1, cause, recorded, actual, self.attempt))

    def note(self, parting: Parting) -> None:
        """Keep a difference."""
        self.partings.append(parting)

    def _differs(self, run: str, recorded: Envelope, today: Envelope) -> None:
        match recorded.kernel, today.kernel:
            case RunStarted(), RunStarted():
                self.note(Parting(run, recorded.seq, "event_mismatch", recorded, today))
            case StateCompleted(), StateCompleted():
                self.parts(run, "snapshot_mismatch", today)
            case StateFailed(), StateFailed() | StateCompleted():
                self.parts(run, "unreproducible_failure", today)
            case StateCompleted(), StateFailed():
                self.parts(run, "status_mismatch", today)
            case RunCompleted(), _:
                self.parts(run, "status_mismatch", today)
            case StateEntered(), _:
                self.parts(run, "order_mismatch", today)
            case _, RunCompleted() | StateEntered():
                self.parts(run, "order_mismatch", today)
            case _:
                self.parts(run, _cause_of(recorded, today), today)


def _cause_of(recorded: Envelope, today: Envelope) -> str:
    """The name of a difference between two events of handlers, or an event and the end of an attempt."""
    asked = None if today.domain is None else fact_of(today.domain)
    answered = None if recorded.domain is None else fact_of(recorded.domain)
    if asked is None and answered is None:
        return "event_mismatch"
    is_same = asked is not None and answered is not None and answered.key == asked.key
    return "request_mismatch" if is_same else "missing_fact"


class ServedIo(LiveIo):
    """IO that binds the recorded answers, in recorded order."""

    def __init__(self, journal: RecordedJournal, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._journal = journal

    def call(self, namespace: str, request: FreeValue, fact_key: str | None = None) -> IoResult:
        """The recorded answer, whatever today's would be."""
        bound = super().call(namespace, request, fact_key).recorded_payload_id
        assert bound is not None, "a call without fact key is refused"
        return IoResult(stored_value(self.artifacts, bound), bound)

    def record(self, key: str, data: bytes, meta: FreeValue) -> str:
        """Bind the key to its recorded answer: what stands there must be this fact, with this question."""
        refuse_secret_key(key, self.allowed)
        self.facts.check(key)
        run = self.writer.run_id
        recorded = self._journal.following(run)
        fact = None if recorded is None or recorded.domain is None else fact_of(recorded.domain)
        if recorded is None:
            raise CallOver
        if fact is None or fact.key != key:
            asked = DomainEvent(FACT_RECORDED, {"key": key, "meta": meta})  # its answer is not known
            self._journal.parts(run, "missing_fact", Envelope(recorded.run_id, recorded.seq, None, Domain(asked)))
        if key.startswith("mfm:random_bytes|") and len(self.artifacts.get(fact.payload_id)) != len(data):
            self._journal.parts(run, "request_mismatch")
        self.facts.bind(key, fact.payload_id)
        self.writer.append(fact_recorded(FactRecorded(key, fact.payload_id, meta)))
        return fact.payload_id


class ServedTransports(Struct, frozen=True):
    """Makes transports that answer as was recorded; nothing outside is asked."""

    journal: RecordedJournal

    def make(self, env: TransportEnv) -> Transport:
        """The transport of one attempt."""

        def answer(call: IoCall) -> FreeValue:
            recorded = self.journal.following(env.run_id)
            if recorded is None:
                raise CallOver
            event = recorded.domain
            if event is not None and event.name == CALL_FAILED:
                raise IoError(wire.read(cast("dict[str, FreeValue]", event.payload)["error"], IoForm))
            return None  # the recorded answer is bound in place of this one

        return answer


class ServedChildRuns(ChildRuns, frozen=True):
    """Child runs that are judged where their records are there, and answered as was recorded where they are not."""

    journal: RecordedJournal

    def make(self, env: TransportEnv) -> Transport:
        """The transport of one attempt of the parent."""
        drive, answer = super().make(env), self.inner.make(env)

        def served(call: IoCall) -> FreeValue:
            is_known = call.fact_key is not None and self.journal.knows(child_run(env.run_id, call.fact_key))
            return drive(call) if call.namespace == SPAWN and is_known else answer(call)

        return served


class ServedAttempts(LiveAttempts, frozen=True):
    """Calls today's handlers, and ends each attempt as it was recorded."""

    journal: RecordedJournal | None = None

    def execute(self, state: State, attempt: int, base: str) -> AttemptResult:
        """Run one attempt on the recorded base. Raises CallOver where today's order is another."""
        journal, run = self.journal, self.writer.run_id
        assert journal is not None
        passed = list(journal.pass_orphans(run))
        self._bind(passed)
        entered, end = journal.following(run), journal.end_of_attempt(run)
        if end is None:
            raise CallOver
        attempt = _recorded_attempt(entered, state.id, attempt, base)
        if passed and is_given_up(end):
            return self._as_given(journal, run, attempt)
        outer, journal.attempt = journal.attempt, f"{state.id}#{attempt}"
        self.writer.head = journal.head(run)
        if entered is not None and _is_entry(entered, state.id, attempt, base) and _times_out(end):
            journal.attempt = outer
            return self._as_given(journal, run, attempt)
        try:
            result = super().execute(state, attempt, base)
        except Parted as parted:
            journal.note(parted.parting)
            if entered is None or not _is_entry(entered, state.id, attempt, base):
                raise CallOver from None
            result = self._as_given(journal, run, attempt)
        finally:
            journal.attempt = outer
        return result

    def _as_given(self, journal: RecordedJournal, run: str, attempt: int) -> AttemptResult:
        """Go on to the recorded end of an attempt."""
        rest = list(journal.rest_of_attempt(run))
        self._bind(rest)
        self.writer.head = journal.head(run)
        return _as_recorded(rest, attempt)

    def _bind(self, passed: Iterable[Envelope]) -> None:
        """Bind the facts of records that today's run passes over: later attempts are answered from them."""
        for envelope in passed:
            fact = None if envelope.domain is None else fact_of(envelope.domain)
            if fact is not None and self.facts.get(fact.key) is None:
                self.facts.bind(fact.key, fact.payload_id)

    def io_of(self, state: State, attempt: int, turn: Turn = nullcontext()) -> FactIo:
        """IO that is answered from the recording."""
        run_id = self.writer.run_id
        assert self.journal is not None
        return ServedIo(
            self.journal,
            self.facts,
            self.artifacts,
            self.writer,
            self.transports.make(TransportEnv(run_id, state.id, attempt)),
            Ordinals(run_id, state.id, attempt),
            self.clock.wall_ms,
            bytes,
            self.supervision(state, attempt),
            self.allowed_names,
        )


def _recorded_attempt(entered: Envelope | None, state_id: str, attempt: int, base: str) -> int:
    """The number of the recorded attempt, which is higher where attempts before it were cut off."""
    recorded = None if entered is None else entered.kernel
    if isinstance(recorded, StateEntered) and (recorded.state_id, recorded.base_snapshot_id) == (state_id, base):
        return max(attempt, recorded.attempt)
    return attempt


def _times_out(end: StateCompleted | StateFailed) -> bool:
    """Whether the handler of an attempt was abandoned: that is taken as given."""
    return isinstance(end, StateFailed) and end.error.info.code == STATE_TIMEOUT


def _is_entry(recorded: Envelope, state_id: str, attempt: int, base: str) -> bool:
    return recorded.kernel == StateEntered(state_id, attempt, base)


def _as_recorded(rest: Sequence[Envelope], attempt: int) -> AttemptResult:
    match rest[-1].kernel if rest else None:
        case StateCompleted(_, snapshot):
            return Succeeded(snapshot)
        case StateFailed(_, error, _):
            return FailedAttempt(error.info.retryable, attempt)
        case _:
            raise CallOver


class ServedEngine(Engine, frozen=True, kw_only=True):
    """The engine on a recorded journal."""

    def is_cancelled(self, run_id: RunId) -> bool:
        """Whether the run was cancelled there: that is taken as given."""
        assert isinstance(self.journal, RecordedJournal)
        recorded = self.journal.following(run_id)
        match None if recorded is None else recorded.kernel:
            case RunCompleted(RunStatus.CANCELLED, _):
                return True
            case StateFailed(_, error, _):
                return error.info.code == "run_cancelled"
            case _:
                return False

    def attempts_of(self, writer: Writer, config: RunConfig, facts: FactIndex) -> ServedAttempts:
        """Attempts that end as was recorded."""
        live = super().attempts_of(writer, config, facts)
        assert isinstance(self.journal, RecordedJournal)
        fields = {name: getattr(live, name) for name in live.__struct_fields__}
        return ServedAttempts(**fields, journal=self.journal)


def served_engine(
    program: PlanProgram,
    journal: RecordedJournal,
    artifacts: ArtifactStore,
    transports: TransportFactory,
    scheduler: Scheduler,
) -> ServedEngine:
    """An engine that reaches for nothing outside."""
    return ServedEngine(
        journal=journal,
        artifact_store=artifacts,
        resolver=program,
        entropy=bytes,
        transports=transports,
        allowed_names=program.allowed_names,
        effectful=frozenset(program.effectful),
        scheduler=scheduler,
    )

"""Run a plan once more on recorded answers, which is how a new recording is made (spec 00 §13.8).

Unlike a replay, an attempt that parts from its record goes on: each fact key gets its recorded answers in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.core.time import StandingClock
from ergo_cli.core.wire import FreeValue
from ergo_cli.events.external import Context
from ergo_cli.programs.answers import AnswerMissing
from ergo_cli.programs.plan.attempts import AttemptResult, LiveAttempts
from ergo_cli.programs.plan.children import ChildRuns
from ergo_cli.programs.plan.engine import Engine
from ergo_cli.programs.plan.errors import IoError, IoForm
from ergo_cli.programs.plan.events import CALL_FAILED, Envelope, StateEntered, StateFailed, fact_of
from ergo_cli.programs.plan.facts import FactIndex, FactIo, IoCall, LiveIo, Ordinals, Transport
from ergo_cli.programs.plan.invoker import PlanInvoker
from ergo_cli.programs.plan.manifest import RunConfig
from ergo_cli.programs.plan.parallel import ParallelScheduler
from ergo_cli.programs.plan.payloads import question, stored_bytes, stored_time, stored_value
from ergo_cli.programs.plan.program import PlanProgram
from ergo_cli.programs.plan.recorded import PlanEpisode
from ergo_cli.programs.plan.states import State
from ergo_cli.programs.plan.stream import Artifacts, HandlersArtifacts, Turn, Writer
from ergo_cli.programs.plan.time_limits import STATE_TIMEOUT
from ergo_cli.programs.plan.transports import Router, TransportEnv, TransportFactory
from ergo_cli.programs.recorded import Episode
from ergo_cli.programs.seat import Seat
from ergo_cli.stores.memory import MemoryArtifacts, MemoryJournal
from ergo_cli.supervisor.seam import Outcome, RunTermination

T = TypeVar("T")

_CUT_OFF = (Outcome.TIMED_OUT, Outcome.ABORTED)


class _Answer(Struct, frozen=True):
    """One recorded answer to a fact key: the artifact that holds it, and what was asked; or the error of the call."""

    artifact: str | None = None
    meta: FreeValue = None
    error: IoForm | None = None


class PlanAnswers:
    """The answers that the runs of one episode got, by run and fact key; makes the transports that give them."""

    def __init__(self) -> None:
        self._recorded: dict[tuple[str, str], list[_Answer]] = {}
        self._artifacts = Artifacts(MemoryArtifacts())
        self._late: set[tuple[str, str, int]] = set()

    def serve(self, runs: Mapping[str, Iterable[Envelope]], artifacts: Mapping[str, bytes]) -> None:
        """Answer from these streams from now on."""
        self._recorded, self._late = {}, set()
        self._artifacts = Artifacts(MemoryArtifacts(artifacts))
        for run, stream in runs.items():
            entered: StateEntered | None = None
            for envelope in stream:
                match envelope.kernel:
                    case StateEntered() as entry:
                        entered = entry
                    case StateFailed(state_id, failure, _) if (
                        failure.info.code == STATE_TIMEOUT and entered is not None
                    ):
                        self._late.add((run, state_id, entered.attempt))
                    case _:
                        self._take(run, envelope)

    def make(self, env: TransportEnv) -> Transport:
        """The transport of one attempt."""

        def answer(call: IoCall) -> FreeValue:
            answers = self._recorded.get((env.run_id, call.fact_key or ""))
            if not answers or not _asks(answers[0], call):
                other = ", with another request than the recorded one" if answers else ""
                raise AnswerMissing(f"{call.namespace} under the fact key '{call.fact_key}'{other}", _place(env))
            found = answers.pop(0)
            if found.error is not None:
                raise IoError(found.error)
            assert found.artifact is not None, "an answer has an artifact or an error"
            return stored_value(self._artifacts, found.artifact)

        return answer

    def fact(self, run: str, key: str) -> str | None:
        """The artifact that was recorded under a key."""
        answers = self._recorded.get((run, key))
        return answers[0].artifact if answers else None

    def time(self, artifact: str) -> int:
        """The time that an artifact holds."""
        return stored_time(self._artifacts, artifact)

    def data(self, artifact: str) -> bytes:
        """The bytes that an artifact holds."""
        return stored_bytes(self._artifacts, artifact)

    def check_time(self, run: str, state_id: str, attempt: int) -> None:
        """Raise AnswerMissing for an attempt whose handler was abandoned: how long today's takes is not recorded."""
        if (run, state_id, attempt) in self._late:
            raise AnswerMissing("whether the state ends in time", f"run '{run}' state '{state_id}' attempt {attempt}")

    def _take(self, run: str, envelope: Envelope) -> None:
        event = envelope.domain
        if event is None:
            return
        fact = fact_of(event)
        if fact is not None:
            self._recorded.setdefault((run, fact.key), []).append(_Answer(fact.payload_id, fact.meta))
        elif event.name == CALL_FAILED:
            payload = cast("dict[str, FreeValue]", event.payload)
            answer = _Answer(error=wire.read(payload["error"], IoForm))
            self._recorded.setdefault((run, cast("str", payload["key"])), []).append(answer)


class AnsweredIo(LiveIo):
    """IO whose times and random bytes are those that were recorded under their keys."""

    def __init__(self, answers: PlanAnswers, env: TransportEnv, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._answers = answers
        self._env = env

    def now_millis(self) -> int:
        """The recorded time."""
        key = self._ordinals.key("now_millis")
        now = self._answers.time(self._recorded(key, "the time"))
        return stored_time(self.artifacts, self.record_value(key, now))

    def random_bytes(self, count: int) -> bytes:
        """The recorded bytes, if they are as many."""
        key = self._ordinals.key("random_bytes")
        data = self._answers.data(self._recorded(key, f"{count} random bytes"))
        if len(data) != count:
            raise AnswerMissing(f"{count} random bytes, where {len(data)} were recorded", _place(self._env))
        return stored_bytes(self.artifacts, self.facts.get(key) or self.record(key, data, {}))

    def _recorded(self, key: str, what: str) -> str:
        found = self._answers.fact(self._env.run_id, key)
        if found is None:
            raise AnswerMissing(what, _place(self._env))
        return found


class AnsweredAttempts(LiveAttempts, frozen=True, kw_only=True):
    """Runs handlers on recorded answers."""

    answers: PlanAnswers

    def execute(self, state: State, attempt: int, base: str) -> AttemptResult:
        """Run one attempt. Raises AnswerMissing."""
        self.answers.check_time(self.writer.run_id, state.id, attempt)
        return super().execute(state, attempt, base)

    def io_of(self, state: State, attempt: int, turn: Turn = nullcontext()) -> FactIo:
        """IO that is answered from the recording."""
        run_id = self.writer.run_id
        env = TransportEnv(run_id, state.id, attempt, turn)
        return AnsweredIo(
            self.answers,
            env,
            self.facts,
            HandlersArtifacts(self.artifacts),
            self.appender(turn),
            self.transports.make(env),
            Ordinals(run_id, state.id, attempt),
            self.clock.wall_ms,
            self.entropy,
            self.supervision(state, attempt),
            self.allowed_names,
            turn,
        )


class AnsweredEngine(Engine, frozen=True, kw_only=True):
    """The engine on recorded answers."""

    answers: PlanAnswers

    def attempts_of(self, writer: Writer, config: RunConfig, facts: FactIndex) -> AnsweredAttempts:
        """Attempts that are answered from the recording."""
        live = super().attempts_of(writer, config, facts)
        return AnsweredAttempts(**{name: getattr(live, name) for name in live.__struct_fields__}, answers=self.answers)


class AnsweredPlan(PlanInvoker):
    """Runs episodes of today's program on what was recorded of them."""

    def __init__(self, program: PlanProgram) -> None:
        seat = Seat(StandingClock(), _within)
        super().__init__(program, MemoryJournal(), MemoryArtifacts(), seat, MemoryJournal())
        self._answers = PlanAnswers()
        self._episode: PlanEpisode | None = None
        self._attempt = 0

    def serve(self, episode: Episode | None) -> None:
        """Answer the next calls from this episode."""
        assert episode is None or isinstance(episode, PlanEpisode)
        self._episode, self._attempt = episode, 0
        runs: dict[str, Iterable[Envelope]] = {}
        if episode is not None:
            runs = {child.entry.run_id: child.stream for child in episode.children}
            if episode.calls:
                runs[episode.run_id] = episode.calls[-1].stream
        self._answers.serve(runs, {} if episode is None else episode.artifacts)

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """One call for the run of the event. Raises AnswerMissing, also where a recorded one was cut off."""
        calls = () if self._episode is None else self._episode.calls
        call = calls[self._attempt] if self._attempt < len(calls) else None
        self._attempt += 1
        if call is not None and call.before and self._attempt == 1:
            raise AnswerMissing("how the run began before the bundle", f"event '{event_id}'")
        if call is not None and deadline != 0 and call.end.termination in _CUT_OFF:
            raise AnswerMissing("whether the call ends in time", f"event '{event_id}'")
        return super().run(graph_id, event_id, context, deadline)

    def _engine(self, deadline: int | None) -> Engine:
        program = self._program

        def made(transports: TransportFactory) -> Engine:
            return AnsweredEngine(
                journal=self._journal,
                artifact_store=self._artifacts,
                resolver=self._raised,
                entropy=bytes,
                transports=transports,
                allowed_names=program.allowed_names,
                effectful=frozenset(program.effectful),
                on_refusal=self._raised.note,
                answers=self._answers,
            )

        router = Router(dict.fromkeys(program.transports, self._answers))
        engine = made(ChildRuns(router, made))
        if not program.parallel:
            return engine
        return replace(engine, scheduler=ParallelScheduler(self._lanes, self._crew))


def _asks(recorded: _Answer, call: IoCall) -> bool:
    """Whether a call asks what the recorded one did, as far as that is known."""
    return recorded.error is not None or not recorded.meta or recorded.meta == question(call.namespace, call.request)


def _place(env: TransportEnv) -> str:
    return f"run '{env.run_id}' state '{env.state_id}' attempt {env.attempt}"


def _within(limit: int, work: Callable[[], T], name: str) -> T:
    """Call without a limit: how long a call takes is not asked."""
    return work()

"""Run a pipeline once more on recorded answers, which is how a new recording is made (spec 00 §13.8).

Unlike a replay, which gives a call the outcome of its place whatever it asks for, this gives outcomes only to equal
questions.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ergo_cli.core.values import ProducedEffect
from ergo_cli.events.external import Context
from ergo_cli.programs.answers import AnswerMissing
from ergo_cli.programs.pipeline.effects import Cursor, Descriptor, EffectRecord
from ergo_cli.programs.pipeline.flow_store import MemoryFlow
from ergo_cli.programs.pipeline.ids import FlowId
from ergo_cli.programs.pipeline.invoker import PipelineInvoker
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.recorded import PipelineCall, PipelineEpisode
from ergo_cli.programs.pipeline.referee import without_executors
from ergo_cli.programs.pipeline.served import RecordedTime, ServedEffects, time_out_place
from ergo_cli.programs.recorded import Episode
from ergo_cli.programs.seat import Seat
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.supervisor.journals import EpisodeJournal
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome, RunTermination

_STORE_FAILED = Failed(ErrKind.ADAPTER_UNAVAILABLE)


class AnsweredEffects(ServedEffects):
    """The effects of the episodes read so far; a call gets the outcome of an equal one of its stage and input."""

    def at(self, cursor: Cursor, asked: Descriptor) -> Sequence[EffectRecord]:
        """The records of an equal call, as those of this one. Raises AnswerMissing."""
        places = sorted(self.places(cursor), key=lambda place: place != cursor.place)
        for place in places:
            found = self.records(place)
            if found and all(_is_equal(record, asked) for record in found):
                records = super().at(replace(cursor, effect_ordinal=place[2]), asked)
                return [replace(record, cursor=cursor) for record in records]
        if self.is_cut_off:
            return ()
        raise AnswerMissing(f"the effect '{asked.effect_type}'", str(cursor))


class AnsweredPipeline:
    """Runs episodes of today's flow on what was recorded of them."""

    def __init__(self, program: PipelineProgram) -> None:
        self._effects = AnsweredEffects()
        self._time = RecordedTime(lambda: self._invoker.appended)
        self._take_program(program)
        self._episode: PipelineEpisode | None = None
        self._attempt = 0

    def serve(self, episode: Episode | None) -> None:
        """Answer the next calls from this episode. The flow has the settings of the recorded one."""
        assert episode is None or isinstance(episode, PipelineEpisode)
        self._episode, self._attempt = episode, 0
        if episode is None:
            return
        self._effects.add(episode.effects)
        settings = self._program.settings.as_recorded(episode.manifest.settings)
        if settings != self._program.settings:
            self._take_program(replace(self._program, settings=settings))
        self._flow.flow_id = FlowId.parse(episode.manifest.flow_id)

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """Admit the event to today's flow. Raises AnswerMissing, also where a store failed then."""
        call = self._next_call()
        if call is not None and call.end.termination == _STORE_FAILED:
            raise AnswerMissing("what the store would have held", f"event '{event_id}'")
        limit = None if call is None else self._time.limit(time_out_place(call))
        self._effects.is_cut_off = limit is not None
        return self._invoker.run(graph_id, event_id, context, 0 if deadline == 0 else limit)

    @property
    def run_calls(self) -> int:
        """How many times ``run`` was called."""
        return self._invoker.run_calls

    @property
    def pending(self) -> int:
        """The number of effects not drained yet."""
        return self._invoker.pending

    def drain_rendered(self) -> list[ProducedEffect]:
        """Drain the effects of the last attempt."""
        return self._invoker.drain_rendered()

    def drain_journals(self) -> Sequence[EpisodeJournal]:
        """The records of the episode."""
        return self._invoker.drain_journals()

    def close(self, interrupted: bool) -> Sequence[EpisodeJournal]:
        """End the flow as the recorded one was ended. Raises AnswerMissing."""
        call = self._next_call()
        self._effects.is_cut_off = False
        self._time.limit(None)
        stopped = call is not None and call.end.termination in (Outcome.ABORTED, Outcome.TIMED_OUT)
        return self._invoker.close(stopped)

    def _next_call(self) -> PipelineCall | None:
        calls = () if self._episode is None else self._episode.calls
        call = calls[self._attempt] if self._attempt < len(calls) else None
        self._attempt += 1
        return call

    def _take_program(self, program: PipelineProgram) -> None:
        self._program = program
        journal = MemoryJournal()
        self._flow = MemoryFlow(program.flow_id(), journal, self._effects, forget=journal.forget)
        self._invoker = PipelineInvoker(without_executors(program), self._flow, Seat(self._time, self._time.within))


def _is_equal(record: EffectRecord, asked: Descriptor) -> bool:
    """Whether a record answers the question, whatever version of the stage asked it."""
    return replace(record.descriptor, stage_logic_version=asked.stage_logic_version) == asked

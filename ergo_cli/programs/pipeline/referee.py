"""Compare today's pipeline program with a recording: one flow runs again on the recorded events and effects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.diagnostics import Notice, counted
from ergo_cli.core.json import JsonValue, decode
from ergo_cli.core.values import ProducedEffect
from ergo_cli.events.external import Context
from ergo_cli.programs.kind import Attempt, Blame, EffectPlace, Finding, Ran
from ergo_cli.programs.pipeline.differences import (
    call_differences,
    end_differences,
    error_differences,
    fault_difference,
    origin_of,
    uncertified_rows,
    with_origins,
)
from ergo_cli.programs.pipeline.effects import AttemptStarted, EffectFault
from ergo_cli.programs.pipeline.errors import PipelineError
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.flow_store import MemoryFlow
from ergo_cli.programs.pipeline.ids import FlowId
from ergo_cli.programs.pipeline.invoker import PipelineInvoker
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.recorded import PipelineCall, PipelineEpisode
from ergo_cli.programs.pipeline.served import RecordedTime, ServedEffects, time_out_place
from ergo_cli.programs.recorded import Episode, JournalDifference
from ergo_cli.programs.seat import Seat
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.supervisor.journals import EndFrame, EpisodeJournal
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome, RunTermination

_STORE_FAILED = Failed(ErrKind.ADAPTER_UNAVAILABLE)
_STAGE_FAILED = Failed(ErrKind.SEMANTIC_ERROR)

_FAULTS_OF_THE_PROGRAM = ("pipeline.effect_unknown", "pipeline.missing_idempotency_key", "pipeline.not_canonical")
"""The codes of faults that a recorded run meets as well as a replay."""


class _Judged(Struct, frozen=True):
    """A recorded call, and today's; None for one that is taken as it was recorded."""

    recorded: PipelineCall
    today: PipelineCall | None
    termination: RunTermination
    fault: EffectFault | None = None

    @property
    def is_cut_off(self) -> bool:
        """Whether time ended the recorded call, at a point that no program decides."""
        return self.recorded.end.termination is Outcome.TIMED_OUT

    @property
    def had_ended(self) -> bool:
        """Whether today's flow had come to its end before, where the recorded one went on."""
        return self.today is not None and self.termination is Outcome.ABORTED and not self.today.texts


class PipelineReferee:
    """Runs one flow of today's program; every call is compared with the recorded one of its episode and attempt.

    The flow has the settings of the recorded one, whatever set them (§24).
    How calls ended by time, by a stop or by a store that failed is taken from the recording.
    """

    def __init__(self, program: PipelineProgram) -> None:
        self._effects = ServedEffects()
        self._time = RecordedTime(lambda: self._invoker.appended)
        self._take_program(program)
        self._episode: PipelineEpisode | None = None
        self._judged: list[_Judged] = []
        self._produced: list[ProducedEffect] = []
        self._drained: list[ProducedEffect] = []
        self._run_calls = 0
        self._differing: set[str] = set()
        self._uncertified: Counter[str] = Counter()
        self._is_strict = False
        self._obstacles: list[str] = []
        self._recorded_manifest: FlowManifest | None = None
        self._has_begun = False
        self.last_error: BaseException | None = None

    def serve(self, episode: Episode | None) -> None:
        """Set the episode that the next calls belong to; its effects are served from now on."""
        assert episode is None or isinstance(episode, PipelineEpisode)
        self._episode, self._judged = episode, []
        if episode is None:
            return
        self._effects.add(episode.effects)
        if episode.manifest.settings != self._manifest.settings:
            settings = self._program.settings.as_recorded(episode.manifest.settings)
            self._take_program(replace(self._program, settings=settings))
        self._flow.flow_id = FlowId.parse(episode.manifest.flow_id)

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """Admit the event to today's flow, unless the recorded call did nothing; returns the termination today.

        ``ABORTED`` if no such call was recorded: it cannot be compared and is not retried.
        """
        self._run_calls += 1
        self.last_error = None
        attempt, episode = len(self._judged), self._episode
        if episode is None or attempt >= len(episode.calls):
            return Outcome.ABORTED
        recorded = episode.calls[attempt]
        judged = self._judge(recorded, lambda: self._admit(recorded, graph_id, event_id, context))
        self._judged.append(judged)
        self._produced = [] if judged.today is None else self._invoker.drain_rendered()
        return judged.termination

    @property
    def run_calls(self) -> int:
        """How many times ``run`` was called."""
        return self._run_calls

    @property
    def pending(self) -> int:
        """The number of effects not drained yet."""
        return len(self._produced)

    def drain_rendered(self) -> list[ProducedEffect]:
        """The effects of the last call; none of one that is taken as it was recorded."""
        self._drained, self._produced = self._produced, []
        return self._drained

    def finding(self, recorded: RunTermination | None, *, strict: bool) -> Finding:
        """What differs in the episode's journal; the last termination is left to the decision where that differs.

        Raises PipelineError ``pipeline.not_comparable`` under ``strict`` for a flow of another manifest.
        """
        episode = self._episode
        if episode is None or not self._judged:
            return Finding()
        self._is_strict = strict
        self._compare_manifests(episode.manifest)
        differences = [
            difference
            for judged in self._judged
            for difference in self._differences(episode, judged, is_last=judged is self._judged[-1])
        ]
        last = self._judged[-1]
        is_known = not last.is_cut_off and not last.had_ended
        return Finding(differences, last.termination, effects_known=is_known)

    def played(self) -> Sequence[PipelineCall]:
        """Today's calls of the episode that was served last, or of closing; recorded ones where nothing was called."""
        return [judged.recorded if judged.today is None else judged.today for judged in self._judged]

    def blame(self, places: Sequence[EffectPlace | None], ran: Ran | None) -> Sequence[Blame]:
        """Name the stage behind each difference, and the first one upstream whose output differs.

        An effect's stage is known where a sink wrote; a termination is that of the stage that failed.
        """
        return [self._blame(place) for place in places]

    def reread(self, ran: Ran) -> Attempt | None:
        """Return None: pipelines read the payload itself."""
        return None

    def close(self, closing: Episode | None) -> Iterator[JournalDifference]:
        """End today's flow as the recorded one was ended; returns the differences of the closing entry.

        Raises PipelineError ``pipeline.not_comparable`` under ``--strict``, for a recorded flow that did not come to a
        good end and for rows whose order is not certified.
        """
        assert closing is None or isinstance(closing, PipelineEpisode)
        if closing is not None:
            yield from self._close(closing)
        if not self._has_begun:  # nothing was admitted, so that nothing had to end
            return
        bad_end = _bad_end(closing)
        if bad_end is not None:
            self._note(bad_end)
        if self._uncertified:
            stages = ", ".join(f"{name} {rows:,}" for name, rows in sorted(self._uncertified.items()))
            self._note(f"the order of {counted(self._uncertified.total(), 'row')} is not certified ({stages})")

    def notices(self) -> Sequence[Notice]:
        """What keeps the runs from being compared in full, so far."""
        return [Notice(obstacle) for obstacle in self._obstacles]

    def _take_program(self, program: PipelineProgram) -> None:
        self._program = program
        self._manifest = FlowManifest.of(program.manifest(program.flow_id()))
        journal = MemoryJournal()
        self._flow = MemoryFlow(program.flow_id(), journal, self._effects, forget=journal.forget)
        seat = Seat(self._time, self._time.within)
        self._invoker = PipelineInvoker(without_executors(program), self._flow, seat)

    def _judge(self, recorded: PipelineCall, call: Callable[[], Sequence[EpisodeJournal]]) -> _Judged:
        termination = recorded.end.termination
        self._has_begun = self._has_begun or bool(recorded.texts)
        if termination == _STORE_FAILED or (termination is Outcome.ABORTED and not recorded.texts):
            return _Judged(recorded, None, termination)
        journals = call()
        today = _call_of(journals[0], recorded)
        self.last_error = self._invoker.last_error if today.texts else None
        fault = self.last_error if isinstance(self.last_error, EffectFault) else None
        if fault is not None and fault.code in _FAULTS_OF_THE_PROGRAM and termination == _STAGE_FAILED:
            fault = None
        ended = today.end.termination
        if termination is Outcome.TIMED_OUT and not isinstance(ended, Failed):
            ended = termination
        return _Judged(recorded, today, ended, fault)

    def _admit(
        self, recorded: PipelineCall, graph_id: str, event_id: str, context: Context
    ) -> Sequence[EpisodeJournal]:
        limit = self._time.limit(time_out_place(recorded))
        self._effects.is_cut_off = limit is not None
        self._invoker.run(graph_id, event_id, context, limit)
        return self._invoker.drain_journals()

    def _close(self, closing: PipelineEpisode) -> Iterator[JournalDifference]:
        (recorded,) = closing.calls
        self._effects.add(closing.effects)
        self._effects.is_cut_off = False
        interrupted = recorded.end.termination in (Outcome.ABORTED, Outcome.TIMED_OUT)
        judged = self._judge(recorded, lambda: self._invoker.close(interrupted))
        self._judged = [judged]
        yield from self._differences(closing, judged, is_last=False)

    def _differences(self, episode: PipelineEpisode, judged: _Judged, *, is_last: bool) -> Iterator[JournalDifference]:
        """The differences of one call; ``is_last``: its end is compared with the decision's."""
        today, recorded, entry = judged.today, judged.recorded, episode.entry.index
        if today is None:
            return
        found: list[JournalDifference] = []
        if not judged.had_ended:
            manifests = (episode.manifest, self._manifest)
            found += call_differences(entry, recorded, today, manifests, is_prefix=judged.is_cut_off)
            self._uncertified.update(uncertified_rows(recorded, manifests))
        if judged.fault is not None:
            found = [difference for difference in found if difference.actual is not None]
            found.append(fault_difference(entry, recorded, judged.fault))
        if not is_last and judged.termination != recorded.end.termination:
            found += end_differences(entry, recorded, today)
        elif not judged.is_cut_off:
            found += error_differences(entry, recorded, today)
        yield from with_origins(iter(found), self._manifest, self._differing)

    def _compare_manifests(self, recorded: FlowManifest) -> None:
        if self._recorded_manifest is not None:
            return
        self._recorded_manifest = recorded
        differing = recorded.differing(self._manifest)
        if differing:
            self._note(f"the recorded flow has another manifest: {', '.join(differing)} differ")

    def _note(self, obstacle: str) -> None:
        """Note what keeps the runs from being compared in full. Raises PipelineError under ``--strict``."""
        self._obstacles.append(obstacle)
        if self._is_strict:
            raise PipelineError(
                "pipeline.not_comparable",
                f"the runs cannot be compared strictly: {obstacle}",
                where=f"pipeline '{self._program.name}'",
            )

    def _blame(self, place: EffectPlace | None) -> Blame:
        last = self._judged[-1] if self._judged else None
        if place is None or place.is_moved:
            stage = None if last is None or last.fault is None else last.fault.cursor.stage_key
        elif place.is_missing:
            stage = _sink_of(cast("dict[str, JsonValue]", place.missing))
        else:
            stage = None if last is None else _stages_of(self._drained, last)[place.index]
        return Blame(stage, origin_of(stage, self._manifest, self._differing) if self._differing else None)


def _stages_of(effects: Sequence[ProducedEffect], judged: _Judged) -> Sequence[str | None]:
    """The stage of each effect of a call: the sink that wrote, or the stage whose effect was recorded in that order."""
    recorded = () if judged.today is None else judged.today.effects
    performed = [effect.cursor.stage_key for effect in recorded if not isinstance(effect.outcome, AttemptStarted)]
    if judged.fault is not None:
        performed.append(judged.fault.cursor.stage_key)
    in_order = iter(performed)
    return [_sink_of(decode(effect.text)) or next(in_order, None) for effect in effects]


def _sink_of(effect: dict[str, JsonValue]) -> str | None:
    """The sink that an effect was written by; None for one that a stage performed."""
    writes = cast("list[dict[str, str]]", effect["writes"])
    return writes[0]["key"] if writes else None


def _bad_end(closing: PipelineEpisode | None) -> str | None:
    """Why the end of a recorded flow is no good one; None if it completed, or was stopped."""
    if closing is None:
        return "there is no closing entry: the capture was cut off"
    (call,) = closing.calls
    ended = call.end.termination
    if ended is Outcome.COMPLETED or (
        ended is Outcome.ABORTED and (call.texts or bytes(call.end.status) == b'"Drained"')
    ):
        return None
    return "the recorded flow failed, or was given up"


def without_executors(program: PipelineProgram) -> PipelineProgram:
    """The program, for which nothing can be executed."""

    def execute(*_arguments: object) -> object:
        raise AssertionError("a replay executes nothing")

    types = {name: replace(found, execute=execute) for name, found in program.effect_types.items()}
    return replace(program, effects=types)


def _call_of(journal: EpisodeJournal, recorded: PipelineCall) -> PipelineCall:
    """What a call of today recorded."""
    _, *texts, last = journal.records
    return PipelineCall(recorded.begin, tuple(texts), msgspec.json.decode(last, type=EndFrame).end, recorded.first)

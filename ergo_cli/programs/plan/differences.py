"""The differences of a plan's journals, with paths into the bundle (spec 00 §13.7, 50 §19)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct

from ergo_cli.core.json import Item, JsonValue, Leaf, Location, Member, decode
from ergo_cli.core.levels import Level
from ergo_cli.core.tree_differences import first_leaf
from ergo_cli.errors import ErgoError
from ergo_cli.programs.plan.engine import RunResult
from ergo_cli.programs.plan.events import (
    Envelope,
    KernelEvent,
    RunCompleted,
    RunStarted,
    StateCompleted,
    StateEntered,
    StateFailed,
    line,
)
from ergo_cli.programs.plan.ids import run_of_event
from ergo_cli.programs.plan.named_contents import differing_contents
from ergo_cli.programs.plan.record_lines import record_line
from ergo_cli.programs.plan.recorded import PlanCall, PlanChild, PlanEpisode
from ergo_cli.programs.plan.served import Parting
from ergo_cli.programs.recorded import JournalDifference, LogDifference, RecordLine
from ergo_cli.stores.artifacts import ArtifactStore, artifact_id
from ergo_cli.stores.memory import MemoryArtifacts
from ergo_cli.supervisor.seam import RunTermination


class Judged(Struct, frozen=True):
    """What became of a recorded call today; ``artifacts`` are the recorded ones and today's."""

    call: PlanCall
    termination: RunTermination
    artifacts: ArtifactStore
    error: ErgoError | None = None
    result: RunResult | None = None
    partings: Sequence[Parting] = ()

    @property
    def new_error(self) -> ErgoError | None:
        """What ended the call today, if that is not what ended it when it was recorded."""
        recorded, today = self.call.end, self.error
        if today is None or recorded.error is None or self.partings:
            return today
        is_same = recorded.error.code == today.code and recorded.termination == self.termination
        return None if is_same else today


def call_differences(episode: PlanEpisode, judged: Judged, *, strict: bool) -> Iterator[JournalDifference]:
    """The differences of one call: of its run and of the children that it spawned, then of its end."""
    for parting in judged.partings:
        if strict or not _is_only_strict(parting):
            yield parting_difference(episode, judged.call, parting, judged.artifacts)
    yield from _end_difference(episode, judged)


def excused_differences(episode: PlanEpisode, judged: Judged) -> Iterator[JournalDifference]:
    """The differences of one call that count under --strict alone."""
    for parting in filter(_is_only_strict, judged.partings):
        yield parting_difference(episode, judged.call, parting, judged.artifacts)


def _end_difference(episode: PlanEpisode, judged: Judged) -> Iterator[JournalDifference]:
    recorded, today = judged.call.end.error, judged.error
    codes = None if recorded is None else recorded.code, None if today is None else today.code
    if codes[0] != codes[1] and not judged.partings:
        location = (*_record(episode.entry.index, judged.call.end_place), Member("end"), Member("error"))
        yield JournalDifference(location, _error_tree(codes[0]), _error_tree(codes[1]))


def parting_difference(
    episode: PlanEpisode, call: PlanCall, parting: Parting, artifacts: ArtifactStore
) -> JournalDifference:
    """The difference of two records of a run, or of a child of it; of what they name by id the members that differ."""
    location = _place(episode, call, parting)
    expected, actual = _tree(parting.expected), _tree(parting.actual)
    leaf: Leaf = (location, expected, actual)
    if parting.expected is not None and parting.actual is not None:
        leaf = first_leaf(expected, actual, location)
    contents = differing_contents(parting.expected, parting.actual, artifacts)
    log = LogDifference(
        parting.run_id,
        parting.seq,
        parting.seq - 1,
        expected,
        actual,
        None if parting.expected is None else artifact_id(line(parting.expected)),
        None if parting.actual is None else artifact_id(line(parting.actual)),
        lines=(None, None) if contents else (_line(parting.expected), _line(parting.actual)),
        state=contents,
    )
    return JournalDifference(*leaf, node=parting.attempt, cause=parting.cause, log=log, level=_level(parting))


def journal_differences(
    here: PlanEpisode, there: PlanEpisode, own_runs: tuple[str, str]
) -> Iterator[JournalDifference]:
    """The records that differ of each call and of each child, up to the first that decides otherwise, placed in A.

    ``own_runs`` names the run of this event alone on each side, by graph and event: those are equal.
    """
    artifacts = MemoryArtifacts({**there.artifacts, **here.artifacts})
    runs = here.run_id, there.run_id
    if runs[0] != runs[1] and runs != tuple(map(_run_named, own_runs)):
        yield JournalDifference((Member("journals"), Item(here.entry.index), Member("run_id")), *runs)
    for call, counterpart in zip(here.calls, there.calls, strict=False):
        for found in _partings(call.events, counterpart.events):
            yield parting_difference(here, call, found, artifacts)
        if call is not here.calls[-1] and call.end.termination != counterpart.end.termination:
            location = (*_record(here.entry.index, call.end_place), Member("end"), Member("termination"))
            yield JournalDifference(
                location, msgspec.to_builtins(call.end.termination), msgspec.to_builtins(counterpart.end.termination)
            )
    for child, other in zip(here.children, there.children, strict=False):
        for found in _partings(child.events, other.events):
            yield parting_difference(here, here.calls[-1], found, artifacts)


def _run_named(graph_and_event: str) -> str:
    graph_id, _, event_id = graph_and_event.partition("/")
    return run_of_event(graph_id, event_id)


def _partings(here: Sequence[Envelope], there: Sequence[Envelope]) -> Iterator[Parting]:
    """The records that differ, up to the first that decides otherwise: behind it the streams are not about the same."""
    for place in range(max(len(here), len(there))):
        one = here[place] if place < len(here) else None
        other = there[place] if place < len(there) else None
        if one is None or other is None or one.event != other.event:
            known = one or other
            assert known is not None
            run, seq = (here[0].run_id if here else known.run_id), (here[0].seq if here else 1) + place
            found = Parting(run, seq, "event_mismatch", one, other)
            yield found
            if _level(found) is Level.DECISION:
                return


def _level(parting: Parting) -> Level:
    """Evidence where both records decide the same: another manifest, another snapshot that no state wrote."""
    expected, actual = _kernel(parting.expected), _kernel(parting.actual)
    if expected is None or actual is None or _decided(expected) != _decided(actual):
        return Level.DECISION
    return Level.EVIDENCE


def _decided(event: KernelEvent) -> tuple[object, ...]:
    """What a record says of what was decided: of a failure, what retries and the end of the run depend on."""
    match event:
        case RunStarted(op, _, initial):
            return RunStarted, op, initial
        case StateFailed(state, failure, _):
            info = failure.info
            return StateFailed, state, failure.state_id, info.code, info.category, info.retryable
        case RunCompleted(status, _):
            return RunCompleted, status
        case StateEntered() | StateCompleted():
            return (event,)


def _is_only_strict(parting: Parting) -> bool:
    """Whether a difference counts under --strict alone: a failure that does not recur, another program's manifest."""
    expected, actual = _kernel(parting.expected), _kernel(parting.actual)
    if isinstance(expected, RunStarted) and isinstance(actual, RunStarted):
        return expected.initial_snapshot_id == actual.initial_snapshot_id
    return parting.cause == "unreproducible_failure"


def _kernel(envelope: Envelope | None) -> KernelEvent | None:
    return None if envelope is None else envelope.kernel


def _place(episode: PlanEpisode, call: PlanCall, parting: Parting) -> Location:
    parts = [child for child in episode.children if child.entry.run_id == parting.run_id]
    if not parts:
        return _record(episode.entry.index, call.place(parting.seq))
    child = next((part for part in reversed(parts) if len(part.before) < parting.seq), parts[0])
    return _record(child.entry.index, _place_in_child(child, parting.seq))


def _place_in_child(child: PlanChild, seq: int) -> int:
    return seq - len(child.before) - 1


def _record(entry: int, place: int) -> Location:
    return Member("journals"), Item(entry), Member("records"), Item(place)


def _error_tree(code: str | None) -> JsonValue:
    return None if code is None else {"code": code}


def _tree(envelope: Envelope | None) -> JsonValue:
    return None if envelope is None else decode(line(envelope))


def _line(envelope: Envelope | None) -> RecordLine | None:
    return None if envelope is None else record_line(envelope)

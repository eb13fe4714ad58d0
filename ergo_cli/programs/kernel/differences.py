"""Compare kernel journals; differences carry paths into the bundle (spec 00 §13.7, 40 §9.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.core.json import Item, JsonValue, Leaf, Location, Member, canonical, decode
from ergo_cli.core.levels import Level
from ergo_cli.core.tree_differences import differing_members, first_leaf
from ergo_cli.programs.kernel.engine.errors import KernelError
from ergo_cli.programs.kernel.engine.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    RunBlocked,
    RunStatus,
    SequencedEvent,
    StateUpdated,
)
from ergo_cli.programs.kernel.record_lines import record_line
from ergo_cli.programs.kernel.recorded import KernelCall, KernelEpisode, is_cut_off
from ergo_cli.programs.kernel.replay.divergence import DivergenceKind as LogKind
from ergo_cli.programs.kernel.replay.divergence import DivergenceReport, compare_logs, events_hash
from ergo_cli.programs.recorded import JournalDifference, LogDifference, RecordLine
from ergo_cli.supervisor.journals import CallError
from ergo_cli.supervisor.seam import RunTermination

_PAYLOAD = (Member("event"), Member("ActionRequested"), Member("payload"))

Ended = tuple[RunStatus | None, CallError | KernelError | None]
"""A status, or an error."""


class Spot(Struct, frozen=True):
    """A recorded call and the entry that it stands in: where differences are placed."""

    index: int
    run_id: str
    call: KernelCall

    def record(self, place: int) -> Location:
        """The path of the record at ``place`` of the entry."""
        return Member("journals"), Item(self.index), Member("records"), Item(place)

    @property
    def begin(self) -> Location:
        """The path of the call's ``begin`` frame."""
        return *self.record(self.call.first), Member("begin")

    @property
    def end(self) -> Location:
        """The path of the call's ``end`` frame."""
        return *self.record(self.call.end_place), Member("end")


def log_difference(
    spot: Spot, report: DivergenceReport, error: CallError | KernelError | None = None
) -> JournalDifference:
    """The first difference of two logs that both begin at seq 1; ``error`` is what ended today's call."""
    assert report.kind is not None
    assert report.first_divergent_seq is not None
    expected, actual = _tree(report.expected), _tree(report.actual)
    place = spot.call.place(report.common_prefix - spot.call.begin.head)
    location, here, there = _first_place(report.kind, expected, actual, spot.record(place))
    log = LogDifference(
        spot.run_id,
        report.first_divergent_seq,
        report.common_prefix,
        expected,
        actual,
        report.expected_hash,
        report.actual_hash,
        None if error is None else f"{error.code}: {error.message}",
        (_line(report.expected), _line(report.actual)),
    )
    return JournalDifference(location, here, there, _node(report), report.kind.value, log)


def state_difference(
    spot: Spot,
    location: Location,
    seq: int,
    hashes: tuple[str | None, str | None],
    error: KernelError | None = None,
    texts: tuple[bytes | None, bytes | None] = (None, None),
    *,
    is_compared_on: bool = True,
) -> JournalDifference:
    """States that differ after ``seq`` equal events: their hashes and, where known, texts, the recorded one first.

    Equal events decide the same, so that the states are evidence: unless an ``error`` took the place of today's, or the
    call is not compared on from here.
    """
    ended = None if error is None else f"{error.code}: {error.message}"
    level = Level.EVIDENCE if is_compared_on and error is None else Level.DECISION
    log = LogDifference(spot.run_id, seq, seq, None, None, *hashes, ended, state=differing_members(*texts))
    return JournalDifference(location, *hashes, cause=LogKind.STATE_MISMATCH.value, log=log, level=level)


def made_by_step(record: JsonValue) -> bool:
    """Whether a record is what a step function answered, not what came from outside."""
    match record:
        case {"event": "Completed"} | {"event": {"StateUpdated": _} | {"ActionRequested": _} | {"Interrupted": _}}:
            return True
        case _:
            return False


def orphan_difference(spot: Spot, request: SequencedEvent, digest: str) -> JournalDifference:
    """The difference of a request that lacks a result without a reason: a fault of the record, not of what it holds."""
    place = spot.call.place(request.seq - 1 - spot.call.begin.head)
    tree = _tree(request)
    lines = record_line(request), None
    log = LogDifference(spot.run_id, request.seq, request.seq - 1, tree, None, digest, digest, lines=lines)
    cause = LogKind.ORPHAN_ACTION.value
    return JournalDifference(spot.record(place), tree, None, maker_of(request), cause, log, level=Level.EVIDENCE)


def termination_difference(spot: Spot, today: RunTermination) -> JournalDifference | None:
    """The difference of a call's termination, None if equal."""
    recorded = spot.call.end.termination
    if recorded == today:
        return None
    location = (*spot.end, Member("termination"))
    return JournalDifference(location, msgspec.to_builtins(recorded), msgspec.to_builtins(today))


def end_differences(spot: Spot, expected: Ended, actual: Ended) -> Iterator[JournalDifference]:
    """The differences of status and error in an ``end`` frame; only the code of an error is compared."""
    trees = zip(("status", "error"), _end_trees(*expected), _end_trees(*actual), strict=True)
    for name, recorded, today in trees:
        if canonical(recorded) != canonical(today):
            yield JournalDifference(*first_leaf(recorded, today, (*spot.end, Member(name))))


def _end_trees(status: RunStatus | None, error: CallError | KernelError | None) -> tuple[JsonValue, JsonValue]:
    return (
        None if status is None else decode(wire.encode(status)),
        None if error is None else {"code": error.code},
    )


def _first_place(kind: LogKind, expected: JsonValue, actual: JsonValue, at: Location) -> Leaf:
    """The first leaf; the whole actions if they differ in more than one member, which is more informative."""
    match expected, actual:
        case (
            {"event": {"ActionRequested": {"payload": recorded}}},
            {"event": {"ActionRequested": {"payload": today}}},
        ) if kind is LogKind.ACTION_MISMATCH and _differing_members(recorded, today) > 1:
            return (*at, *_PAYLOAD), recorded, today
        case _:
            return first_leaf(expected, actual, at)


def _differing_members(recorded: JsonValue, today: JsonValue) -> int:
    """The number of members in which two actions of the same kind differ; 0 for any other pair."""
    if not (isinstance(recorded, dict) and isinstance(today, dict) and recorded.keys() == today.keys()):
        return 0
    one, other = next(iter(recorded.values()), None), next(iter(today.values()), None)
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return 0
    return sum(canonical(one.get(name)) != canonical(other.get(name)) for name in one.keys() | other.keys())


def _tree(event: SequencedEvent | None) -> JsonValue:
    return None if event is None else decode(wire.encode(event))


def _line(event: SequencedEvent | None) -> RecordLine | None:
    return None if event is None else record_line(event)


def _node(report: DivergenceReport) -> str | None:
    return maker_of(report.expected) or maker_of(report.actual)


def maker_of(event: SequencedEvent | None) -> str | None:
    """The step or the action that an event belongs to."""
    match event and event.event:
        case StateUpdated(step_id):
            return step_id
        case ActionRequested(action_id) | ActionSucceeded(action_id) | ActionFailed(action_id):
            return action_id
        case _:
            return None


def journal_differences(
    here: KernelEpisode, there: KernelEpisode, own_runs: tuple[str, str]
) -> Iterator[JournalDifference]:
    """The differences of B from A, placed in A; records that only moved within a run are equal.

    ``own_runs`` is the id of a run of this event alone on each side. The last termination and the number of calls are
    compared with the decisions instead.
    """
    runs = here.run_id, there.run_id
    if runs[0] != runs[1] and runs != own_runs:
        yield JournalDifference((Member("journals"), Item(here.entry.index), Member("run_id")), *runs)
    for call, counterpart in zip(here.calls, there.calls, strict=False):
        spot = Spot(here.entry.index, here.run_id, call)
        yield from _call_differences(spot, counterpart, there.run_id)
        ended = termination_difference(spot, counterpart.end.termination)
        if ended is not None and call is not here.calls[-1]:
            yield ended


def _call_differences(spot: Spot, counterpart: KernelCall, run_id: str) -> Iterator[JournalDifference]:
    call = spot.call
    initials = call.begin.initial, counterpart.begin.initial
    if initials[0] != initials[1]:
        texts = call.initial, counterpart.initial
        yield state_difference(spot, (*spot.begin, Member("initial")), 0, initials, texts=texts)
    moved = _moved(counterpart, run_id, spot)
    if compare_logs(spot.run_id, call.events, moved).kind is not None:
        before = call.before
        yield log_difference(spot, compare_logs(spot.run_id, [*before, *call.events], [*before, *moved]))
    elif call.end.state != counterpart.end.state:
        states = call.end.state, counterpart.end.state
        yield state_difference(spot, (*spot.end, Member("state")), call.head, states)
    yield from end_differences(spot, (call.status, call.end.error), (counterpart.status, counterpart.end.error))


def _moved(counterpart: KernelCall, run_id: str, spot: Spot) -> Sequence[SequencedEvent]:
    """The events of the other side as if they stood where the call of this one does."""
    offset = spot.call.begin.head - counterpart.begin.head
    if not offset and run_id == spot.run_id:
        return counterpart.events
    return [_renamed(event, run_id, spot.run_id, offset) for event in counterpart.events]


def _renamed(sequenced: SequencedEvent, run_id: str, name: str, offset: int) -> SequencedEvent:
    event = sequenced.event
    if isinstance(event, ActionRequested | ActionSucceeded | ActionFailed):
        prefix, _, seq = event.action_id.rpartition("-")
        if prefix == run_id and seq.isdecimal():
            event = replace(event, action_id=f"{name}-{int(seq) + offset}")
    return SequencedEvent(sequenced.seq + offset, event)


def orphans(spot: Spot) -> Iterator[JournalDifference]:
    """The requests of a call that have no result, and no deadline, cancellation or awaited signal to excuse it."""
    digest = ""
    for request in _without_result(spot.call):
        digest = digest or events_hash([*spot.call.before, *spot.call.events])
        yield orphan_difference(spot, request, digest)


def _without_result(call: KernelCall) -> Iterator[SequencedEvent]:
    request: SequencedEvent | None = None
    for event in call.events:
        match event.event:
            case ActionRequested():
                if request is not None:
                    yield request
                request = event
            case ActionSucceeded() | ActionFailed():
                request = None
            case _:
                pass
    if request is not None and not (request is call.events[-1] and _is_excused(call)):
        yield request


def _is_excused(call: KernelCall) -> bool:
    awaits_signal = isinstance(call.status, RunBlocked) and call.status.blocked.wait_signal is not None
    return awaits_signal or is_cut_off(call)

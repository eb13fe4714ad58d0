"""What differs in a journal, placed by paths into the bundle (spec 00 §13.7, 40 §9.2)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

import msgspec
from msgspec import Struct

from ergo_cli.bundle.kernel_journals import KernelCall
from ergo_cli.core.json import JsonValue, canonical, decode
from ergo_cli.programs.kernel import wire
from ergo_cli.programs.kernel.divergence import DivergenceKind as LogKind
from ergo_cli.programs.kernel.divergence import DivergenceReport
from ergo_cli.programs.kernel.errors import KernelError
from ergo_cli.programs.kernel.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    SequencedEvent,
    StateUpdated,
)
from ergo_cli.programs.kernel.status import RunStatus
from ergo_cli.replay.compare import Leaf
from ergo_cli.replay.divergence import LogDifference
from ergo_cli.replay.paths import Item, Location, Member
from ergo_cli.supervisor.journals import CallError
from ergo_cli.supervisor.seam import RunTermination

_PAYLOAD = (Member("event"), Member("ActionRequested"), Member("payload"))

Ended = tuple[RunStatus | None, CallError | KernelError | None]
"""A status, or an error."""


class JournalDifference(Struct, frozen=True):
    """One difference inside a journal; ``node`` is the step or the action, ``cause`` the kind that 40 §9.2 gives it."""

    location: Location
    expected: JsonValue
    actual: JsonValue
    node: str | None = None
    cause: str | None = None
    log: LogDifference | None = None


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
    )
    return JournalDifference(location, here, there, _node(report), report.kind.value, log)


def state_difference(
    spot: Spot,
    location: Location,
    seq: int,
    hashes: tuple[str | None, str | None],
    error: KernelError | None = None,
) -> JournalDifference:
    """States that differ after ``seq`` equal events: their hashes, the recorded one first."""
    told = None if error is None else f"{error.code}: {error.message}"
    log = LogDifference(spot.run_id, seq, seq, None, None, *hashes, told)
    return JournalDifference(location, *hashes, cause=LogKind.STATE_MISMATCH.value, log=log)


def orphan_difference(spot: Spot, request: SequencedEvent, digest: str) -> JournalDifference:
    """A request that has no result, and none of the reasons to lack one."""
    place = spot.call.place(request.seq - 1 - spot.call.begin.head)
    tree = _tree(request)
    log = LogDifference(spot.run_id, request.seq, request.seq - 1, tree, None, digest, digest)
    return JournalDifference(spot.record(place), tree, None, _maker(request), LogKind.ORPHAN_ACTION.value, log)


def termination_difference(spot: Spot, today: RunTermination) -> JournalDifference | None:
    """How the call ended, if it ended otherwise."""
    recorded = spot.call.end.termination
    if recorded == today:
        return None
    location = (*spot.end, Member("termination"))
    return JournalDifference(location, msgspec.to_builtins(recorded), msgspec.to_builtins(today))


def end_differences(spot: Spot, expected: Ended, actual: Ended) -> Iterator[JournalDifference]:
    """What differs of status and error in an ``end`` frame; of an error its code alone counts."""
    trees = zip(("status", "error"), _end_trees(*expected), _end_trees(*actual), strict=True)
    for name, recorded, today in trees:
        if canonical(recorded) != canonical(today):
            yield JournalDifference(*first_leaf(recorded, today, (*spot.end, Member(name))))


def _end_trees(status: RunStatus | None, error: CallError | KernelError | None) -> tuple[JsonValue, JsonValue]:
    return (
        None if status is None else decode(wire.encode(status)),
        None if error is None else {"code": error.code},
    )


def first_leaf(expected: JsonValue, actual: JsonValue, at: Location) -> Leaf:
    """The first place where two values that differ do so; of values that are tagged otherwise the whole values."""
    if isinstance(expected, dict) and isinstance(actual, dict) and not _tagged_otherwise(expected, actual):
        for name in [*expected, *(name for name in actual if name not in expected)]:
            if name not in expected or name not in actual:
                return (*at, Member(name)), expected.get(name), actual.get(name)
            if canonical(expected[name]) != canonical(actual[name]):
                return first_leaf(expected[name], actual[name], (*at, Member(name)))
    if isinstance(expected, list) and isinstance(actual, list):
        for index, (one, other) in enumerate(zip_longest(expected, actual)):
            if index >= min(len(expected), len(actual)) or canonical(one) != canonical(other):
                return first_leaf(one, other, (*at, Item(index)))
    return at, expected, actual


def _first_place(kind: LogKind, expected: JsonValue, actual: JsonValue, at: Location) -> Leaf:
    """The first leaf; of actions that differ in more than one member the whole actions, which say more."""
    match expected, actual:
        case (
            {"event": {"ActionRequested": {"payload": recorded}}},
            {"event": {"ActionRequested": {"payload": today}}},
        ) if kind is LogKind.ACTION_MISMATCH and _differing_members(recorded, today) > 1:
            return (*at, *_PAYLOAD), recorded, today
        case _:
            return first_leaf(expected, actual, at)


def _differing_members(recorded: JsonValue, today: JsonValue) -> int:
    """In how many members two actions of the same kind differ; 0 for what is no such pair."""
    if not (isinstance(recorded, dict) and isinstance(today, dict) and recorded.keys() == today.keys()):
        return 0
    one, other = next(iter(recorded.values()), None), next(iter(today.values()), None)
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return 0
    return sum(canonical(one.get(name)) != canonical(other.get(name)) for name in one.keys() | other.keys())


def _tagged_otherwise(expected: dict[str, JsonValue], actual: dict[str, JsonValue]) -> bool:
    return len(expected) == len(actual) == 1 and expected.keys() != actual.keys()


def _tree(event: SequencedEvent | None) -> JsonValue:
    return None if event is None else decode(wire.encode(event))


def _node(report: DivergenceReport) -> str | None:
    return _maker(report.expected) or _maker(report.actual)


def _maker(event: SequencedEvent | None) -> str | None:
    """The step or the action that an event belongs to."""
    match event and event.event:
        case StateUpdated(step_id):
            return step_id
        case ActionRequested(action_id) | ActionSucceeded(action_id) | ActionFailed(action_id):
            return action_id
        case _:
            return None

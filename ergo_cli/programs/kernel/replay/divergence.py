"""Compare two logs, and check a log against its rules (spec 40 §8, §9.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from hashlib import sha256
from itertools import zip_longest
from typing import cast

from msgspec import Struct

from ergo_cli.core import wire
from ergo_cli.core.json import decode as decode_json
from ergo_cli.core.json import free_text
from ergo_cli.programs.kernel.engine.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    Completed,
    SequencedEvent,
)


def events_hash(events: Iterable[SequencedEvent]) -> str:
    """Lower-case hex SHA-256 over the canonical texts of events, nothing between them."""
    digest = sha256()
    for event in events:
        digest.update(wire.encode(event))
    return digest.hexdigest()


class LogVerdict(Enum):
    """Whether two logs differ."""

    MATCH = "match"
    DIVERGED = "diverged"


class DivergenceKind(Enum):
    """The kind of a difference."""

    EVENT_MISMATCH = "EventMismatch"
    MISSING_EVENTS = "MissingEvents"
    EXTRA_EVENTS = "ExtraEvents"
    STATE_MISMATCH = "StateMismatch"
    ACTION_MISMATCH = "ActionMismatch"
    SEQUENCE_GAP = "SequenceGap"
    ORPHAN_ACTION = "OrphanAction"


class DivergenceReport(Struct, frozen=True, kw_only=True):
    """The first difference of a run, in seq order.

    ``common_prefix`` counts the events that are equal, ``expected`` and ``actual`` are the pair at
    ``first_divergent_seq``, ``path`` is a JSON pointer to the first place in it that differs. The hashes are those of
    the two event streams, of a StateMismatch those of the states.
    """

    run_id: str
    verdict: LogVerdict
    kind: DivergenceKind | None = None
    common_prefix: int
    first_divergent_seq: int | None = None
    expected: SequencedEvent | None = None
    actual: SequencedEvent | None = None
    path: str | None = None
    expected_hash: str
    actual_hash: str


def compare_logs(run_id: str, expected: Sequence[SequencedEvent], actual: Sequence[SequencedEvent]) -> DivergenceReport:
    """The first difference of two logs, by canonical text: 1 and 1.0 differ."""
    hashes = events_hash(expected), events_hash(actual)
    first = expected[0].seq if expected else actual[0].seq if actual else 1
    for index, (recorded, came) in enumerate(zip_longest(expected, actual)):
        kind = _difference(recorded, came, first + index)
        if kind is not None:
            return _report(run_id, hashes, index, kind, first + index, recorded, came)
    return DivergenceReport(
        run_id=run_id,
        verdict=LogVerdict.MATCH,
        common_prefix=len(expected),
        expected_hash=hashes[0],
        actual_hash=hashes[1],
    )


def compare_states(run_id: str, seq: int, expected_hash: str, actual_hash: str) -> DivergenceReport:
    """Whether the fold of ``seq`` equal events is the recorded state; seq 0 is the initial state."""
    same = expected_hash == actual_hash
    return DivergenceReport(
        run_id=run_id,
        verdict=LogVerdict.MATCH if same else LogVerdict.DIVERGED,
        kind=None if same else DivergenceKind.STATE_MISMATCH,
        common_prefix=seq,
        first_divergent_seq=None if same else seq,
        expected_hash=expected_hash,
        actual_hash=actual_hash,
    )


def orphan_actions(events: Iterable[SequencedEvent]) -> list[SequencedEvent]:
    """Requests without a result before the next request or before completion."""
    orphans: list[SequencedEvent] = []
    request: SequencedEvent | None = None
    for event in events:
        match event.event:
            case ActionSucceeded() | ActionFailed():
                request = None
            case ActionRequested():
                orphans += [request] if request is not None else []
                request = event
            case Completed() if request is not None:
                orphans.append(request)
                request = None
            case _:
                pass
    return orphans


def check_log(run_id: str, events: Sequence[SequencedEvent]) -> DivergenceReport | None:
    """The first place where a log breaks its rules: a gap in its seqs, or a request without result.

    The event there is the ``expected`` one: a recorded log has no other side.
    """
    faults = [(index + 1, DivergenceKind.SEQUENCE_GAP, event) for index, event in enumerate(events)]
    gap = next((fault for fault in faults if fault[0] != fault[2].seq), None)
    orphan = next(((event.seq, DivergenceKind.ORPHAN_ACTION, event) for event in orphan_actions(events)), None)
    found = min((fault for fault in (gap, orphan) if fault is not None), key=lambda fault: fault[0], default=None)
    if found is None:
        return None
    seq, kind, event = found
    digest = events_hash(events)
    return _report(run_id, (digest, digest), seq - 1, kind, seq, event, None)


def first_difference(expected: object, actual: object, place: str = "") -> str | None:
    """A JSON pointer to the first place, in the order of ``expected``, where two JSON values differ."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return _in_members(cast("dict[str, object]", expected), cast("dict[str, object]", actual), place)
    if isinstance(expected, list) and isinstance(actual, list):
        one, other = cast("list[object]", expected), cast("list[object]", actual)
        return _in_members(dict(_numbered(one)), dict(_numbered(other)), place)
    return None if free_text(cast("object", expected)) == free_text(actual) else place


def _numbered(items: list[object]) -> Iterable[tuple[str, object]]:
    return ((str(index), item) for index, item in enumerate(items))


def _in_members(expected: dict[str, object], actual: dict[str, object], place: str) -> str | None:
    for name in [*expected, *(name for name in actual if name not in expected)]:
        pointer = f"{place}/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in expected or name not in actual:
            return pointer
        found = first_difference(expected[name], actual[name], pointer)
        if found is not None:
            return found
    return None


def _difference(expected: SequencedEvent | None, actual: SequencedEvent | None, seq: int) -> DivergenceKind | None:
    """What differs at one seq: gaps before actions before all else."""
    if any(event is not None and event.seq != seq for event in (expected, actual)):
        return DivergenceKind.SEQUENCE_GAP
    if expected is None:
        return DivergenceKind.EXTRA_EVENTS
    if actual is None:
        return DivergenceKind.MISSING_EVENTS
    if wire.encode(expected) == wire.encode(actual):
        return None
    match expected.event, actual.event:
        case ActionRequested(recorded_id), ActionRequested(action_id) if recorded_id == action_id:
            return DivergenceKind.ACTION_MISMATCH
        case _:
            return DivergenceKind.EVENT_MISMATCH


def _report(
    run_id: str,
    hashes: tuple[str, str],
    common_prefix: int,
    kind: DivergenceKind,
    seq: int,
    expected: SequencedEvent | None,
    actual: SequencedEvent | None,
) -> DivergenceReport:
    path = None
    if expected is not None and actual is not None:
        path = first_difference(decode_json(wire.encode(expected)), decode_json(wire.encode(actual)))
    return DivergenceReport(
        run_id=run_id,
        verdict=LogVerdict.DIVERGED,
        kind=kind,
        common_prefix=common_prefix,
        first_divergent_seq=seq,
        expected=expected,
        actual=actual,
        path=path,
        expected_hash=hashes[0],
        actual_hash=hashes[1],
    )

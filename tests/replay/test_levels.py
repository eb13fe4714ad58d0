"""The level of each difference, exact counts of them, and which fail a comparison."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.schema import DecisionRecord, IntentAck
from ergo_cli.core.levels import FailOn, Level
from ergo_cli.events.external import EventKind
from ergo_cli.replay.diffing import diff_bundles
from ergo_cli.replay.level_counts import LevelCounts
from ergo_cli.replay.results import BundleResult, Outcome
from ergo_cli.supervisor.seam import Constraints, Decision, ErrKind, Failed
from ergo_cli.supervisor.seam import Outcome as Ended
from ergo_cli.testing.bundles import bundle_of, completed, event_record, set_context
from tests.replay.conftest import written

SECOND = 1_000_000_000
DONE = completed("e1", 0, [set_context("a", 1.0), set_context("b", 2.0)])
LATER = DecisionRecord("e1", Decision.DEFER, SECOND, 0, None, None, 0, ())
ACK = IntentAck("eid1:sha256:1", "broker", "accepted", "durable")


def bundle(decision: DecisionRecord = DONE, **header: Any) -> CaptureBundle:
    return bundle_of([event_record("e1", b'{"n":1}')], [decision], **header)


def diffed(folder: Path, a: CaptureBundle, b: CaptureBundle, **options: Any) -> BundleResult:
    return diff_bundles(written(folder / "a.json", a), written(folder / "b.json", b), **options)


def found(folder: Path, a: CaptureBundle, b: CaptureBundle) -> list[tuple[str, str]]:
    result = diffed(folder, a, b)
    counted = Counter(each.level.value for each in result.divergences)
    assert result.levels == LevelCounts(*(counted[level.value] for level in Level))
    return [(each.path or each.kind.value, each.level.value) for each in result.divergences]


@pytest.mark.parametrize(
    ("other", "path", "level"),
    [
        (replace(DONE, termination=Failed(ErrKind.RUNTIME_ERROR)), "termination", "decision"),
        (replace(DONE, termination=Ended.TIMED_OUT), "termination", "decision"),
        (replace(DONE, retry_count=2), "retry_count", "decision"),
        (replace(DONE, deadline=5 * SECOND), "deadline", "timing"),
        (completed("e1", 0, [set_context("a", 1.0), set_context("b", 3.0)]), "effects[1].writes[0].value", "decision"),
        (completed("e1", 0, [set_context("a", 1.0)]), "effects[1]", "decision"),
        (completed("e1", 0, [set_context("b", 2.0), set_context("a", 1.0)]), "effects", "decision"),
        (replace(DONE, intent_acks=(ACK,)), "intent_acks[0]", "evidence"),
        (replace(DONE, interruption="channel"), "interruption", "evidence"),
    ],
)
def test_a_difference_of_a_decision(tmp_path: Path, other: DecisionRecord, path: str, level: str) -> None:
    [(where, of)] = found(tmp_path, bundle(), bundle(other))
    assert where.startswith(path)
    assert of == level


def test_an_event_that_waits_is_another_decision_and_its_time_is_one_of_the_schedule(tmp_path: Path) -> None:
    assert found(tmp_path, bundle(), bundle(LATER)) == [
        ("decision", "decision"),
        ("schedule_at", "timing"),
        ("termination", "decision"),
        ("effects[0]", "decision"),
        ("effects[1]", "decision"),
    ]
    assert found(tmp_path, bundle(LATER), bundle(replace(LATER, schedule_at=2 * SECOND))) == [("schedule_at", "timing")]


def test_a_hash_of_an_effect_alone_is_evidence(tmp_path: Path) -> None:
    first, second = DONE.effects
    edited = replace(DONE, effects=(first, replace(second, effect_hash="0" * 64)))
    assert found(tmp_path, bundle(), bundle(edited)) == [("effects[1].effect_hash", "evidence")]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"event_time": 7}, [("event.event_time", "timing")]),
        ({"kind": EventKind.PUMP}, [("event.kind", "evidence")]),
        ({"payload": b'{"n":2}'}, [("event.payload.n", "evidence")]),
    ],
)
def test_an_event_that_is_decided_alike_is_evidence_or_a_time(
    tmp_path: Path, changes: dict[str, Any], wanted: list[tuple[str, str]]
) -> None:
    one = bundle()
    other = replace(one, events=(replace(one.events[0], **changes),))
    assert found(tmp_path, one, other) == wanted


def test_events_that_one_side_has_or_that_moved_are_decisions(tmp_path: Path) -> None:
    def run(*ids: str) -> CaptureBundle:
        return bundle_of([event_record(name) for name in ids], [completed(name, at) for at, name in enumerate(ids)])

    assert found(tmp_path, run("a", "b"), run("a")) == [("event_missing", "decision")]
    assert found(tmp_path, run("a"), run("a", "b")) == [("event_extra", "decision")]
    assert found(tmp_path, run("a", "b", "c"), run("b", "c", "a")) == [("event_moved", "decision")]


def test_a_header_is_evidence_and_its_constraints_are_the_schedule(tmp_path: Path) -> None:
    limited = Constraints(max_per_window=4, rate_window=SECOND, deadline=SECOND, max_retries=1)
    other = bundle(graph_id="other", runtime_provenance="rpv1:sha256:other", constraints=limited)
    assert found(tmp_path, bundle(), other) == [
        ("header.graph_id", "evidence"),
        ("header.config.max_per_window", "timing"),
        ("header.config.rate_window", "timing"),
        ("header.config.deadline", "timing"),
        ("header.config.max_retries", "timing"),
        ("header.runtime_provenance", "evidence"),
    ]


CHANGES: dict[str, dict[str, Any]] = {
    "decision": {"retry_count": 1},
    "evidence": {"intent_acks": (ACK,)},
    "timing": {"deadline": 5},
}
"""A change of a decision that is one difference of this level."""


@settings(max_examples=60)
@given(st.lists(st.sets(st.sampled_from(sorted(CHANGES))), max_size=12), st.integers(0, 8))
def test_counts_are_exact_where_the_list_is_cut_and_gates_are_one_below_the_other(
    tmp_path_factory: pytest.TempPathFactory, changed: list[set[str]], limit: int
) -> None:
    folder = tmp_path_factory.mktemp("levels")
    events = [event_record(f"e{number}") for number in range(len(changed))]
    plain = [completed(f"e{number}", number) for number in range(len(changed))]
    others = [
        replace(decision, **{name: value for level in levels for name, value in CHANGES[level].items()})
        for decision, levels in zip(plain, changed, strict=True)
    ]
    wanted = Counter(level for levels in changed for level in levels)
    sides = bundle_of(events, plain), bundle_of(events, others)
    passing: dict[FailOn, bool] = {}
    for gate in FailOn:
        result = diffed(folder, *sides, max_divergences=limit, fail_on=gate)
        assert result.levels == LevelCounts(wanted["decision"], wanted["evidence"], wanted["timing"])
        assert result.divergence_count == wanted.total()
        assert len(result.divergences) == min(limit, wanted.total())
        assert (result.outcome is Outcome.MATCH) == (not wanted)
        passing[gate] = result.passes
    assert passing == {
        FailOn.ANY: not wanted,
        FailOn.EVIDENCE: not wanted["decision"] + wanted["evidence"],
        FailOn.DECISION: not wanted["decision"],
    }
    assert passing[FailOn.ANY] <= passing[FailOn.EVIDENCE] <= passing[FailOn.DECISION]

"""Replays of edited bundles and with changed programs, held against spec 00 §12.7."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.bundle.schema import DecisionRecord, payload_hash
from ergo_cli.core.numbers import Numbers, original_float
from ergo_cli.programs.graph.kind import BUILT_IN
from ergo_cli.project.loading import LoadedProgram, load_program_from_files
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.paths import parse_patterns
from ergo_cli.replay.results import BundleResult, Outcome, ReplayOptions, Target
from ergo_cli.supervisor.seam import Constraints, Decision
from ergo_cli.testing.bundles import bundle_of, completed, event_record
from tests.replay.conftest import Boiler, Edit, capture, edited, reading, written

LOOSE = ReplayOptions(strict=False)
EVENTS = [reading("r1", 90.0), reading("r2", 96.0), reading("r3", 97.0, 13.0), reading("r4", 20.0)]


def target(loaded: LoadedProgram, recorded: LoadedProgram | None = None) -> Target:
    return Target(loaded.program, loaded.adapter, None if recorded is None else recorded.program)


def told(result: BundleResult) -> list[tuple[Any, ...]]:
    return [(each.seq, each.event_id, each.kind.value, each.path) for each in result.divergences]


def replayed(path: Path, edit: Edit, loaded: LoadedProgram, **options: Any) -> BundleResult:
    return replay_bundle(str(edited(path, edit)), target(loaded), ReplayOptions(**{"strict": False, **options}))


@pytest.fixture
def program(boiler: Boiler) -> LoadedProgram:
    return boiler()


@pytest.fixture
def good(program: LoadedProgram, tmp_path: Path) -> Path:
    return capture(tmp_path / "good.json", program, EVENTS)


def test_without_an_event_the_decision_is_missing_and_the_rest_is_joined(good: Path, program: LoadedProgram) -> None:
    result = replayed(good, lambda bundle: bundle["events"].pop(1), program, strict=True)
    assert (2, "r3", "decision", "episode_id") in told(result)
    [missing] = [each for each in result.divergences if each.path == ""]
    assert (missing.seq, missing.event_id, missing.kind.value) == (1, "r2", "decision_missing")
    assert (missing.expected, missing.actual, missing.code) == ("Invoke", None, "replay.decision_mismatch")


def test_without_a_decision_it_is_extra_and_the_rest_is_equal(good: Path, program: LoadedProgram) -> None:
    result = replayed(good, lambda bundle: bundle["decisions"].pop(1), program)
    assert told(result) == [(1, "r2", "decision_extra", "")]
    assert (result.divergences[0].expected, result.divergences[0].actual) == (None, "Invoke")


def test_ids_may_repeat_without_strict_and_are_told_by_occurrence(good: Path, program: LoadedProgram) -> None:
    def repeat(bundle: dict[str, Any]) -> None:
        for name in ("events", "decisions"):
            bundle[name].append(json.loads(json.dumps(bundle[name][0])))
        bundle["decisions"][-1].update(episode_id=4, retry_count=3)

    result = replayed(good, repeat, program)
    [found] = result.divergences
    assert (found.seq, found.event_id, found.occurrence, found.path) == (4, "r1", 1, "retry_count")
    refused = replayed(good, repeat, program, strict=True)
    assert refused.error is not None
    assert (refused.outcome, refused.error.code) == (Outcome.REFUSED, "replay.duplicate_event_id")
    assert (refused.events, refused.decisions) == (None, None)


def test_the_episode_of_a_divergence_is_the_recorded_one(good: Path, program: LoadedProgram) -> None:
    result = replayed(good, lambda bundle: bundle["decisions"][2].update(episode_id=9), program)
    [found] = result.divergences
    assert (found.episode_id, found.expected, found.actual) == (9, 9, 2)


def test_evidence_and_egress_are_not_compared(good: Path, program: LoadedProgram) -> None:
    def add(bundle: dict[str, Any]) -> None:
        bundle["egress_provenance"] = "epv1:sha256:0"
        bundle["decisions"][0]["interruption"] = "egress dispatch failed: x"

    assert replayed(good, add, program, strict=True).outcome is Outcome.MATCH


def test_the_episodes_before_the_first_divergence_are_remembered(good: Path, program: LoadedProgram) -> None:
    result = replayed(good, lambda bundle: bundle["decisions"][3].update(retry_count=1), program)
    assert [episode.event_id for episode in result.before_first] == ["r1", "r2", "r3"]
    assert [episode.effects for episode in result.before_first] == [0, 1, 1]


def test_the_node_behind_an_effect_and_the_first_node_that_differs(boiler: Boiler, good: Path) -> None:
    recorded = boiler()
    now = boiler(("limit: 95.0", "limit: 80.0"))
    result = replay_bundle(str(good), target(now, recorded), LOOSE)
    assert {each.cause for each in result.divergences} == {"program_changed"}
    first = result.divergences[0]
    assert (first.event_id, first.kind.value, first.path) == ("r1", "effect_extra", "effects[0]")
    assert (first.node, first.origin) == ("overheated/close", "overheated/over/limit_value")
    alone = replay_bundle(str(good), target(now), LOOSE).divergences[0]
    assert (alone.node, alone.origin) == ("overheated/close", None)


def test_the_origin_lies_upstream_of_the_node(boiler: Boiler, good: Path) -> None:
    recorded, now = boiler(), boiler(("limit: 95.0", "limit: 98.0"), ("limit: 12.5", "limit: 14.0"))
    result = replay_bundle(str(good), target(now, recorded), LOOSE)
    blamed = {(each.event_id, each.kind.value, each.node, each.origin) for each in result.divergences}
    assert blamed == {
        ("r2", "effect_missing", "overheated/close", "overheated/over/limit_value"),
        ("r3", "effect_missing", "overpressure/close", "overpressure/over/limit_value"),
    }
    guessed = {(each.event_id, each.node) for each in replay_bundle(str(good), target(now), LOOSE).divergences}
    assert guessed == {("r2", "overheated/close"), ("r3", "overpressure/close")}


def test_another_adapter_is_allowed_and_named_as_the_cause(good: Path, program: LoadedProgram) -> None:
    bundle = edited(good, lambda bundle: bundle["decisions"][0].update(retry_count=1))
    result = replay_bundle(str(bundle), Target(program.program, None), LOOSE)
    [found] = result.divergences
    assert (found.path, found.cause) == ("retry_count", "adapter_changed")
    assert "the adapter changed" in result.warnings[0].message
    refused = replay_bundle(str(bundle), Target(program.program, None), ReplayOptions(strict=True))
    assert refused.error is not None
    assert refused.error.code == "replay.adapter_required"


def test_a_program_that_cannot_be_stepped_ends_the_comparison(good: Path, program: LoadedProgram) -> None:
    def unbound(bundle: dict[str, Any]) -> None:
        bundle["adapter_provenance"] = "none"
        bundle["decisions"][3]["retry_count"] = 1

    result = replay_bundle(str(edited(good, unbound)), Target(program.program, None), LOOSE)
    [found] = result.divergences
    assert (found.seq, found.event_id, found.kind.value, found.code) == (1, "r2", "program", "replay.host_step_failed")
    assert (found.expected, found.path) == ("Completed", "")
    assert "EffectsWithoutAdapter" in str(found.actual)
    assert result.events == 1
    assert "the rest of the bundle was not compared" in result.warnings[-1].message


def test_a_broken_program_is_held_against_the_decision_of_its_event(good: Path, program: LoadedProgram) -> None:
    def unbound(bundle: dict[str, Any]) -> None:
        bundle["adapter_provenance"] = "none"
        bundle["decisions"].pop(0)
        bundle["decisions"][0]["termination"] = {"Failed": "SemanticError"}

    result = replay_bundle(str(edited(good, unbound)), Target(program.program, None), LOOSE)
    broken = result.divergences[-1]
    assert (broken.kind.value, broken.event_id, broken.expected) == ("program", "r2", "Failed(SemanticError)")


def test_an_error_midway_wins_over_divergences_which_stay_listed(good: Path, program: LoadedProgram) -> None:
    def spoil(bundle: dict[str, Any]) -> None:
        bundle["decisions"][0]["retry_count"] = 1
        bundle["events"][2].update(payload=list(b"[1]"), payload_hash=payload_hash(b"[1]"))

    result = replayed(good, spoil, program)
    assert result.error is not None
    assert (result.outcome, result.error.code) == (Outcome.REFUSED, "replay.event_rehydrate_failed")
    assert told(result) == [(0, "r1", "decision", "retry_count")]
    assert result.events == 2


def test_ignored_parts_do_not_differ_and_patterns_see_every_record(good: Path, program: LoadedProgram) -> None:
    patterns = parse_patterns(["retry_count", "effects[*].writes[key=overpressure]", "schedule_at.secs"])
    change: Edit = lambda bundle: bundle["decisions"][1].update(retry_count=1)  # noqa: E731
    assert replayed(good, change, program, ignore=patterns).outcome is Outcome.MATCH
    assert [pattern.matched for pattern in patterns] == [True, True, False]


def test_all_divergences_are_counted_and_the_first_are_listed(good: Path, program: LoadedProgram) -> None:
    def change(bundle: dict[str, Any]) -> None:
        for decision in bundle["decisions"]:
            decision["retry_count"] = 1

    result = replayed(good, change, program, max_divergences=1)
    assert (result.divergence_count, [each.seq for each in result.divergences]) == (4, [0])


def test_a_pretty_bundle_matches(good: Path, program: LoadedProgram) -> None:
    good.write_text(json.dumps(json.loads(good.read_text()), indent=2))
    assert replay_bundle(str(good), target(program), ReplayOptions(strict=True)).outcome is Outcome.MATCH


NUMBER_GRAPH = """
kind: cluster
id: keep
version: "1.0.0"
nodes:
  price: { impl: context_number_source@0.1.0, params: { key: price } }
  high: { impl: gt@0.1.0 }
  level: { impl: number_source@0.1.0, params: { value: 0.0 } }
  go: { impl: emit_if_true@0.1.0 }
  keep: { impl: context_set_number@0.1.0, params: { key: kept } }
edges:
  - price.value -> high.a
  - level.value -> high.b
  - high.result -> go.input
  - go.event -> keep.event
  - price.value -> keep.value
outputs: { done: keep.outcome }
"""
PAYLOAD = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"price": {"type": "number"}, "kept": {"type": "number"}},
}


@pytest.fixture
def keeper(tmp_path: Path) -> LoadedProgram:
    manifest = {
        "kind": "adapter",
        "id": "desk",
        "version": "1.0.0",
        "runtime_compatibility": "0.1.0-alpha.1",
        "context_keys": [
            {"name": "price", "type": "Number", "required": False, "writable": False},
            {"name": "kept", "type": "Number", "required": False, "writable": True},
        ],
        "event_kinds": [{"name": "reading", "payload_schema": PAYLOAD}],
        "accepts": {
            "effects": [{"name": "set_context", "payload_schema": {"type": "object", "additionalProperties": False}}]
        },
        "capture": {"format_version": "1", "fields": ["event.reading", "meta.adapter_id"]},
    }
    (tmp_path / "keep.yaml").write_text(NUMBER_GRAPH)
    (tmp_path / "desk.json").write_text(json.dumps(manifest))
    return load_program_from_files(tmp_path / "keep.yaml", (), tmp_path / "desk.json")


def misread() -> float:
    """A number that the original reads as another."""
    candidates = (0.1234567890123456 + number / 10**9 for number in range(1000))
    return next(number for number in candidates if original_float(repr(number)) != number)


def test_what_only_the_reading_of_numbers_explains_is_told_so(keeper: LoadedProgram, tmp_path: Path) -> None:
    price = misread()
    events = [{**reading(name, 0.0), "payload": {"price": price}} for name in ("n1", "n2", "n3")]
    good = capture(tmp_path / "numbers.json", keeper, events)

    def misread_by_the_original(bundle: dict[str, Any]) -> None:
        for decision in bundle["decisions"][:2]:
            decision["effects"][0]["effect"]["writes"][0]["value"]["Number"] = original_float(repr(price))
        bundle["decisions"][1]["retry_count"] = 1

    result = replayed(good, misread_by_the_original, keeper)
    value = "effects[0].writes[0].value.Number"
    assert [(each.seq, each.path, each.cause) for each in result.divergences] == [
        (0, value, "numbers"),
        (1, "retry_count", None),
        (1, value, "numbers"),
    ]
    under_the_flag = replayed(good, misread_by_the_original, keeper, numbers=Numbers.ORIGINAL)
    assert (0, "n1", "effect_changed", value) not in told(under_the_flag)
    assert {each.cause for each in under_the_flag.divergences} == {None}


def test_another_number_is_not_explained_by_its_reading(keeper: LoadedProgram, tmp_path: Path) -> None:
    good = capture(tmp_path / "numbers.json", keeper, [{**reading("n1", 0.0), "payload": {"price": misread()}}])

    def change(bundle: dict[str, Any]) -> None:
        bundle["decisions"][0]["effects"][0]["effect"]["writes"][0]["value"]["Number"] = 7.0

    [found] = replayed(good, change, keeper).divergences
    assert (found.expected, found.cause, found.node) == (7.0, None, "keep")


def test_a_schedule_is_replayed_under_the_bundles_own_constraints(tmp_path: Path) -> None:
    limits = Constraints(max_per_window=1, rate_window=10 * 10**9)
    events = [event_record("a", b""), event_record("b", b"")]
    decisions = [completed("a"), DecisionRecord("b", Decision.DEFER, 10 * 10**9, 1, None, None, 0)]
    decided = bundle_of(
        events,
        decisions,
        graph_id=BUILT_IN.graph_id,
        constraints=limits,
        runtime_provenance=BUILT_IN.provenance,
    )
    for bundle in (decided, written(tmp_path / "s.json", decided)):
        result = replay_bundle(bundle, Target(BUILT_IN), ReplayOptions(strict=True))
        assert result.outcome is Outcome.MATCH
        assert result.decisions is not None
        assert (result.decisions.invoke, result.decisions.defer) == (1, 1)

"""Spec 11 §18, the lines on replay."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.schema import CapturedEffect, DecisionRecord, Header, payload_hash
from ergo_cli.core.json import render
from ergo_cli.core.values import Effect, effect_hash
from ergo_cli.errors import ReplayError
from ergo_cli.events.adapter import Adapter, adapter_provenance, load_adapter
from ergo_cli.events.external import EventKind
from ergo_cli.programs.program import Program
from ergo_cli.replay.compare import Difference, compare_decisions, decision_tree
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.results import DecisionCounts, DivergenceKind, ReplayOptions, Target
from ergo_cli.replay.results import Outcome as Result
from ergo_cli.supervisor.seam import Constraints, Decision, ErrKind, Failed, Outcome
from ergo_cli.testing.bundles import bundle_of, completed, event_record, set_context
from ergo_cli.testing.scripted import ScriptedInvoker
from tests.conftest import CONFORMANCE, Ergo
from tests.host.stages import ADAPTER, desk
from tests.support.events import event_line
from tests.support.scripted_kind import Script, scripted

SECOND = 10**9
LOOSE = ReplayOptions(strict=False)


def raised(bundle: CaptureBundle, program: Program[Script], adapter: Adapter | None = None) -> ReplayError:
    with pytest.raises(ReplayError) as caught:
        replay_bundle(bundle, Target(program, adapter), raise_on_failure=True)
    return caught.value


def failing() -> ScriptedInvoker:
    return ScriptedInvoker(Failed(ErrKind.SEMANTIC_ERROR))


def test_c11_32_two_replays_of_one_bundle_are_equal() -> None:
    bundle = bundle_of([event_record("a"), event_record("p", kind=EventKind.PUMP)], [completed("a"), completed("p", 1)])
    one, other = (replay_bundle(bundle, Target(scripted(failing))) for _ in range(2))
    assert one == other
    assert (one.outcome, one.events, one.error) == (Result.DIVERGED, 2, None)


def test_c11_16_a_pump_on_an_empty_queue_replays_as_deferred() -> None:
    decision = DecisionRecord("p", Decision.DEFER, None, 0, None, None, 0)
    bundle = bundle_of([event_record("p", b"", kind=EventKind.PUMP)], [decision])
    result = replay_bundle(bundle, Target(scripted()))
    assert (result.outcome, result.decisions) == (Result.MATCH, DecisionCounts(0, 0, 1))


def test_c11_33_an_unknown_version_is_named() -> None:
    error = raised(replace(bundle_of([], []), capture_version="v999"), scripted())
    assert error.code == "replay.unsupported_capture_version"
    assert "'v999'" in error.message


@pytest.mark.parametrize("position", [0, 1])
def test_c11_34_a_corrupted_payload_is_named(position: int) -> None:
    records = [event_record("e_good"), event_record("e_other")]
    records[position] = replace(event_record("e_bad", b"abc"), payload=b"def")
    error = raised(bundle_of(records, []), scripted())
    assert (error.code, error.where) == ("replay.hash_mismatch", "event 'e_bad'")
    assert "'e_bad'" in error.message


def test_c11_35_a_hashed_payload_that_is_no_object_is_invalid() -> None:
    error = raised(bundle_of([event_record("e", b'"text"')], []), scripted())
    assert (error.code, error.where) == ("replay.event_rehydrate_failed", "event 'e'")
    assert "payload must be a JSON object, got string" in error.message


ADAPTERS = {"none": None, "a": desk(), "b": load_adapter(ADAPTER.replace("version: 1.0.0", "version: 2.0.0"), "b.yaml")}


def with_adapter(name: str) -> CaptureBundle:
    bundle = bundle_of([event_record("e")], [completed("e")])
    provenance = adapter_provenance(ADAPTERS[name])
    return replace(bundle, header=Header("demo", Constraints(), "rpv1:sha256:test", provenance))


@pytest.mark.parametrize(
    ("recorded", "current", "code"),
    [
        ("none", "none", None),
        ("none", "a", "replay.unexpected_adapter"),
        ("a", "none", "replay.adapter_required"),
        ("a", "a", None),
        ("a", "b", "replay.adapter_provenance_mismatch"),
    ],
)
def test_c11_36_adapter_provenance(recorded: str, current: str, code: str | None) -> None:
    bundle, adapter = with_adapter(recorded), ADAPTERS[current]
    if code is None:
        result = replay_bundle(bundle, Target(scripted(), adapter))
        assert (result.outcome, result.events) == (Result.MATCH, 1)
    else:
        assert raised(bundle, scripted(), adapter).code == code


def test_c11_36_provenance_mismatches_name_both_sides() -> None:
    one, other = adapter_provenance(ADAPTERS["a"]), adapter_provenance(ADAPTERS["b"])
    error = raised(with_adapter("a"), scripted(), ADAPTERS["b"])
    assert error.details == (f"expected: '{one}'", f"got: '{other}'")
    error = raised(with_adapter("none"), scripted(provenance="rpv1:sha256:now"))
    assert error.code == "replay.runtime_provenance_mismatch"
    assert error.details == ("expected: 'rpv1:sha256:test'", "got: 'rpv1:sha256:now'")
    assert "recorded 'rpv1:sha256:test'" in error.message
    assert "current 'rpv1:sha256:now'" in error.message


def test_c11_37_duplicate_ids_come_before_provenance() -> None:
    bundle = bundle_of([event_record("dup_evt"), event_record("dup_evt")], [])
    error = raised(bundle, scripted(provenance="rpv1:sha256:another"))
    assert error.code == "replay.duplicate_event_id"
    assert "'dup_evt'" in error.message
    assert replay_bundle(bundle, Target(scripted()), LOOSE).events == 2


def differences(one: DecisionRecord, other: DecisionRecord) -> list[Difference]:
    return list(compare_decisions(decision_tree(one, ()), decision_tree(other, ())))


def test_c11_38_equal_decisions_have_no_difference() -> None:
    assert differences(completed("e"), completed("e")) == []
    effects = [set_context("x", 1.0), set_context("h", [1.0, 2.0])]
    assert differences(completed("e", effects=effects), completed("e", effects=effects)) == []


@pytest.mark.parametrize(
    ("recorded", "actual", "kind", "path"),
    [
        ([set_context("x", 1.0)], [set_context("y", 1.0)], "effect_changed", "effects[0].writes[0].key"),
        ([set_context("x", 1.0)], [set_context("x", 2.0)], "effect_changed", "effects[0].writes[0].value.Number"),
        ([set_context("x", 0.0)], [set_context("x", -0.0)], "effect_changed", "effects[0].writes[0].value.Number"),
        ([set_context("x", 1.0)], [set_context("x", True)], "effect_changed", "effects[0].writes[0].value"),
        (
            [set_context("x", [1.0])],
            [set_context("x", [1.0, 2.0])],
            "effect_changed",
            "effects[0].writes[0].value.Series",
        ),
        (
            [set_context("x", [1.0])],
            [set_context("x", [2.0])],
            "effect_changed",
            "effects[0].writes[0].value.Series[0]",
        ),
        ([set_context("x", 1.0)], [], "effect_missing", "effects[0]"),
        ([], [set_context("x", 1.0)], "effect_extra", "effects[0]"),
        ([set_context("x", 1.0)], [set_context("w", 1.0), set_context("x", 1.0)], "effect_extra", "effects[0]"),
        (
            [set_context("x", 1.0), set_context("y", 1.0)],
            [set_context("y", 1.0), set_context("x", 1.0)],
            "effect_order",
            "effects",
        ),
    ],
)
def test_c11_38_effects_that_differ_are_located(
    recorded: list[Effect], actual: list[Effect], kind: str, path: str
) -> None:
    (found,) = differences(completed("e", effects=recorded), completed("e", effects=actual))
    assert (found.kind, render(found.location)) == (DivergenceKind(kind), path)


def test_c11_38_a_tampered_hash_alone_is_a_difference() -> None:
    effect = CapturedEffect.of(set_context("x", 1.0))
    one = replace(completed("e"), effects=(effect,))
    other = replace(completed("e"), effects=(replace(effect, effect_hash="0" * 64),))
    (found,) = differences(one, other)
    assert render(found.location) == "effects[0].effect_hash"


@pytest.mark.parametrize(
    ("field", "value", "expected", "actual"),
    [
        ("event_id", "f", "e", "f"),
        ("decision", Decision.SKIP, "Invoke", "Skip"),
        ("schedule_at", 10 * SECOND, None, {"secs": 10, "nanos": 0}),
        ("episode_id", 1, 0, 1),
        ("deadline", 1, None, {"secs": 0, "nanos": 1}),
        ("termination", Failed(ErrKind.CANCELLED), "Completed", {"Failed": "Cancelled"}),
        ("termination", None, "Completed", None),
        ("retry_count", 1, 0, 1),
    ],
)
def test_c11_38_fields_that_differ_are_located(field: str, value: object, expected: object, actual: object) -> None:
    (found,) = differences(completed("e"), replace(completed("e"), **{field: value}))
    kind = DivergenceKind.TERMINATION if field == "termination" else DivergenceKind.DECISION
    assert (found.kind, render(found.location), found.expected, found.actual) == (kind, field, expected, actual)


def test_c11_39_the_bundles_own_constraints_decide() -> None:
    events = [event_record(name) for name in ("a", "b", "c")]
    aborted = [
        DecisionRecord(name, Decision.INVOKE, None, number, 0, Outcome.ABORTED, 0) for number, name in enumerate("abc")
    ]
    hurried = replay_bundle(bundle_of(events, aborted, constraints=Constraints(deadline=0)), Target(scripted()))
    assert hurried.outcome is Result.MATCH
    limits = Constraints(max_per_window=2, rate_window=10 * SECOND)
    deferred = DecisionRecord("c", Decision.DEFER, 10 * SECOND, 2, None, None, 0)
    decided = bundle_of(events, [completed("a"), completed("b", 1), deferred], constraints=limits)
    limited = replay_bundle(decided, Target(scripted()))
    assert (limited.outcome, limited.decisions) == (Result.MATCH, DecisionCounts(2, 0, 1))
    for bundle in (bundle_of(events, aborted), bundle_of(events, decided.decisions)):
        assert replay_bundle(bundle, Target(scripted())).outcome is Result.DIVERGED


CASE = CONFORMANCE / "20-replay-failures"
FLAGS = ("-g", str(CASE.resolve() / "graph.yaml"), "-a", str(CASE.resolve() / "adapter.yaml"))

Change = Callable[[dict[str, Any]], None]


def rehash(event: dict[str, Any], payload: bytes) -> None:
    event["payload"], event["payload_hash"] = list(payload), payload_hash(payload)


def set_in(path: str, value: Any) -> Change:
    def change(bundle: dict[str, Any]) -> None:
        *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
        target: Any = bundle
        for step in steps:
            target = target[step]
        target[last] = value

    return change


def drop_last_pair(bundle: dict[str, Any]) -> None:
    bundle["events"].pop()
    bundle["decisions"].pop()


def with_null_member(bundle: dict[str, Any]) -> None:
    """Other bytes, same relevant values; `extra` violates the adapter's schema."""
    rehash(bundle["events"][0], b'{"extra":null,' + bytes(bundle["events"][0]["payload"])[1:])


def empty_payload(bundle: dict[str, Any]) -> None:
    rehash(bundle["events"][0], b"")


def kind_not_emittable(bundle: dict[str, Any]) -> None:
    bundle["decisions"][0]["effects"][0]["effect"]["kind"] = "publish"


def two_faults(*changes: Change) -> Change:
    def change(bundle: dict[str, Any]) -> None:
        for one in changes:
            one(bundle)

    return change


BAD_HASH = set_in("events/2/payload_hash", "0" * 64)
BAD_RUNTIME = set_in("runtime_provenance", "rpv1:sha256:0")
BAD_EFFECT = set_in("decisions/2/effects/0/effect_hash", "0" * 64)
ACK = {"intent_id": "eid1:x", "channel": "box", "status": "accepted", "acceptance": "durable"}

TAMPERED: dict[str, tuple[Change, int, str | None]] = {
    "decision to Skip": (set_in("decisions/1/decision", "Skip"), 1, "replay.decision_mismatch"),
    "termination": (set_in("decisions/1/termination", "TimedOut"), 1, "replay.decision_mismatch"),
    "episode id": (set_in("decisions/1/episode_id", 9), 1, "replay.decision_mismatch"),
    "deadline": (set_in("decisions/1/deadline", {"secs": 1, "nanos": 0}), 1, "replay.decision_mismatch"),
    "last event and its decision": (drop_last_pair, 0, None),
    "payload emptied": (empty_payload, 1, "replay.effect_mismatch"),
    "payload violating the schema": (with_null_member, 0, None),
    "negative seconds": (set_in("events/0/event_time/secs", -1), 3, "replay.host_setup_failed"),
    "missing config": (lambda bundle: bundle.pop("config"), 3, "replay.host_setup_failed"),
    "unknown top member": (set_in("adapter_version", "1"), 3, "replay.host_setup_failed"),
    "kind to Pump": (set_in("events/0/kind", "Pump"), 1, "replay.decision_mismatch"),
    "kind to DataAvailable": (set_in("events/0/kind", "DataAvailable"), 0, None),
    "event time": (set_in("events/0/event_time/secs", 77), 0, None),
    "duplicate id": (
        lambda bundle: set_in("events/3/event_id", bundle["events"][0]["event_id"])(bundle),
        3,
        "replay.duplicate_event_id",
    ),
    "runtime provenance": (BAD_RUNTIME, 4, "replay.runtime_provenance_mismatch"),
    "adapter provenance": (set_in("adapter_provenance", "adapter:x"), 4, "replay.adapter_provenance_mismatch"),
    "adapter provenance none": (set_in("adapter_provenance", "none"), 4, "replay.unexpected_adapter"),
    "graph id": (set_in("graph_id", "other"), 4, "replay.graph_id_mismatch"),
    "version v2": (set_in("capture_version", "v2"), 3, "replay.unsupported_capture_version"),
    "rate limit added": (
        two_faults(set_in("config/max_per_window", 1), set_in("config/rate_window", {"secs": 1, "nanos": 0})),
        1,
        "replay.decision_mismatch",
    ),
    "zero deadline added": (set_in("config/deadline", {"secs": 0, "nanos": 0}), 1, "replay.decision_mismatch"),
    "unknown member in a decision": (set_in("decisions/0/remark", [1]), 3, "bundle.inconsistent"),
    "egress provenance added": (set_in("egress_provenance", "epv1:sha256:0"), 0, None),
    "ack added": (set_in("decisions/0/intent_acks", [ACK]), 3, "bundle.inconsistent"),
    "interruption added": (set_in("decisions/0/interruption", "egress dispatch failed"), 0, None),
    "kind not emittable": (kind_not_emittable, 4, "replay.external_effect_kind_unrepresentable"),
    "three faults": (two_faults(BAD_HASH, BAD_RUNTIME, BAD_EFFECT), 3, "replay.hash_mismatch"),
    "two faults": (two_faults(BAD_RUNTIME, BAD_EFFECT), 4, "replay.runtime_provenance_mismatch"),
    "earlier decision, later effect": (
        two_faults(set_in("decisions/1/retry_count", 5), BAD_EFFECT),
        1,
        "replay.decision_mismatch",
    ),
}


@pytest.mark.parametrize("name", sorted(TAMPERED))
def test_c11_44_every_row_of_the_tamper_table(name: str, ergo: Ergo, tmp_path: Path) -> None:
    change, exit_code, code = TAMPERED[name]
    bundle = json.loads((CASE / "good.json").read_text())
    change(bundle)
    (tmp_path / "b.json").write_text(json.dumps(bundle))
    ran = ergo("replay", "b.json", "--strict", "--format", "json", *FLAGS)
    report = ran.report
    listed = [divergence["code"] for divergence in report["bundles"][0]["divergences"]]
    found = report["error"]["code"] if report["error"] else next(iter(listed), None)
    assert (ran.exit_code, found) == (exit_code, code), ran.stderr


def test_c11_44_a_bundle_with_an_adapter_needs_it(ergo: Ergo) -> None:
    ran = ergo("replay", CASE.resolve() / "good.json", "--strict", "--format", "json", *FLAGS[:2])
    assert (ran.exit_code, ran.report["error"]["code"]) == (4, "replay.adapter_required")


def test_c11_45_refusals_tell_place_and_details(ergo: Ergo, tmp_path: Path) -> None:
    bundle = json.loads((CASE / "good.json").read_text())
    bundle["graph_id"] = "other"
    (tmp_path / "b.json").write_text(json.dumps(bundle))
    error = ergo("replay", "b.json", "--strict", "--format", "json", *FLAGS).report["error"]
    assert error["details"] == ["expected: 'other'", "got: 'ctxset'"]
    assert "other" in error["where"]
    assert error["fix"]


@pytest.mark.parametrize("name", ["effect_dropped", "effect_added"])
def test_c11_45_an_effect_on_one_side_only_carries_that_side(name: str, ergo: Ergo) -> None:
    ran = ergo("replay", CASE.resolve() / f"{name}.json", "--strict", "--format", "json", *FLAGS)
    (found,) = ran.report["bundles"][0]["divergences"]
    if name == "effect_dropped":
        assert (found["kind"], found["path"], found["expected"]) == ("effect_extra", "effects[3]", None)
        side = found["actual"]
    else:
        assert (found["kind"], found["path"], found["actual"]) == ("effect_missing", "effects[4]", None)
        side = found["expected"]
    assert side["kind"] == "set_context"


@pytest.mark.parametrize(
    ("graph", "wanted"), [("bool", {"Bool": True}), ("series", {"Series": [1.0, 2.0, 3.0]}), ("once", {"Bool": True})]
)
def test_c11_40_bool_series_and_latch_graphs_replay(graph: str, wanted: object, ergo: Ergo, tmp_path: Path) -> None:
    write_project(tmp_path, graph)
    assert ergo("capture", "events.jsonl", "-o", "b.json", "-g", "graph.yaml", "-a", "adapter.yaml").exit_code == 0
    bundle = json.loads((tmp_path / "b.json").read_text())
    values = [
        write["value"]
        for decision in bundle["decisions"]
        for item in decision["effects"]
        for write in item["effect"]["writes"]
    ]
    assert values == ([wanted] if graph == "once" else [wanted, wanted])
    ran = ergo("replay", "b.json", "--strict", "-g", "graph.yaml", "-a", "adapter.yaml")
    assert ran.exit_code == 0, ran.stderr


def change_key(effect: dict[str, Any]) -> None:
    effect["effect"]["writes"][0]["key"] = "other"
    effect["effect_hash"] = effect_hash(json.dumps(effect["effect"], separators=(",", ":")).encode())


def zero_hash(effect: dict[str, Any]) -> None:
    effect["effect_hash"] = "0" * 64


@pytest.mark.parametrize("change", [change_key, zero_hash, None])
def test_c11_41_changed_zeroed_and_cleared_effects_are_mismatches(
    change: Callable[[dict[str, Any]], None] | None, ergo: Ergo, tmp_path: Path
) -> None:
    write_project(tmp_path, "bool")
    ergo("capture", "events.jsonl", "-o", "b.json", "-g", "graph.yaml", "-a", "adapter.yaml")
    bundle = json.loads((tmp_path / "b.json").read_text())
    if change is None:
        bundle["decisions"][0]["effects"] = []
    else:
        change(bundle["decisions"][0]["effects"][0])
    (tmp_path / "b.json").write_text(json.dumps(bundle))
    ran = ergo("replay", "b.json", "--strict", "-g", "graph.yaml", "-a", "adapter.yaml", "--format", "json")
    found = ran.report["bundles"][0]["divergences"][0]
    assert (ran.exit_code, found["code"], found["seq"]) == (1, "replay.effect_mismatch", 0)


def test_c11_17_two_commands_through_the_demo_graph(ergo: Ergo, tmp_path: Path) -> None:
    graph = CONFORMANCE / "02-demo1" / "graph.yaml"
    lines = [{"kind": "event", "event": {"type": "Command", "payload": {"x": x}}} for x in (2.5, 40)]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert ergo("capture", "events.jsonl", "-o", "b.json", "-g", graph).exit_code == 0
    kinds = [decision["decision"] for decision in json.loads((tmp_path / "b.json").read_text())["decisions"]]
    assert kinds == ["Invoke", "Invoke"]
    assert ergo("replay", "b.json", "--strict", "-g", graph).exit_code == 0


def test_c11_47_decisions_are_counted_by_kind(ergo: Ergo) -> None:
    case = CONFORMANCE / "11-pump"
    ran = ergo("replay", case / "capture.json", "-g", case / "graph.yaml", "--format", "json")
    assert ran.report["bundles"][0]["decisions"] == {"invoke": 3, "skip": 0, "defer": 3}


LIVE = ("channels/bounded_run.py", "channels/group.py", "channels/ingress.py", "channels/process.py", "host/timing.py")
"""What waits for the world, and is no part of a replay."""


@pytest.mark.parametrize("room", ["bundle", "channels", "core", "events", "host", "programs", "replay", "supervisor"])
def test_c11_48_no_module_of_capture_or_replay_reads_a_clock_or_randomness(room: str) -> None:
    package = Path(__file__).parents[2] / "ergo_cli"
    modules = sorted((package / room).rglob("*.py"))
    assert modules
    for module in modules:
        if module.relative_to(package).as_posix().startswith(LIVE):
            continue
        found = {name.partition(".")[0] for name in imported(module)}
        assert not found & {"time", "random", "secrets", "uuid"}, module.name
        assert not {"now", "utcnow", "today"} & set(asked_of_dates(module)), module.name


def asked_of_dates(module: Path) -> Iterator[str]:
    """What of ``datetime`` and ``date`` is used: they may write a time that is given, never tell one."""
    for node in ast.walk(ast.parse(module.read_text())):
        match node:
            case ast.Attribute(ast.Name("datetime" | "date") | ast.Attribute(_, "datetime" | "date"), name):
                yield name
            case _:
                pass


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(name, _, level) if level == 0 and name is not None:
                yield name
            case _:
                pass


SETTER = {"bool": "bool", "series": "series", "once": "bool"}
SOURCE = {
    "bool": "{impl: boolean_source@0.1.0, params: {value: true}}",
    "series": "{impl: context_series_source@0.1.0, params: {key: given}}",
    "once": "{impl: not@0.1.0}",
}


def write_project(folder: Path, graph: str) -> None:
    """A graph that writes a Bool, a Series, or a Bool once; its adapter, and two events."""
    latch = "  latched: {impl: context_bool_source@0.1.0, params: {key: out}}\n" if graph == "once" else ""
    edges = "  - latched.value -> value.value\n" if graph == "once" else ""
    gate, port = ("value", "result") if graph == "once" else ("yes", "value")
    output = "result" if graph == "once" else "value"
    (folder / "graph.yaml").write_text(
        f"kind: cluster\nid: {graph}_graph\nversion: '1.0.0'\nnodes:\n"
        "  yes: {impl: const_bool@0.1.0, params: {value: true}}\n"
        f"{latch}  value: {SOURCE[graph]}\n  fire: {{impl: emit_if_true@0.1.0}}\n"
        f"  set: {{impl: context_set_{SETTER[graph]}@0.1.0, params: {{key: out}}}}\n"
        f"edges:\n{edges}  - {gate}.{port} -> fire.input\n  - fire.event -> set.event\n"
        f"  - value.{output} -> set.value\n"
    )
    kind = {"bool": "Bool", "series": "Series", "once": "Bool"}[graph]
    number_list = "{type: array, items: {type: number}}"
    shape = number_list if kind == "Series" else "{type: boolean}"
    (folder / "adapter.yaml").write_text(
        "kind: adapter\nid: a\nversion: 1.0.0\nruntime_compatibility: 0.1.0-alpha.1\ncontext_keys:\n"
        f"  - {{name: out, type: {kind}, required: false, writable: true}}\n"
        "  - {name: given, type: Series, required: false, writable: false}\n"
        "event_kinds:\n  - name: tick\n    payload_schema: {type: object, additionalProperties: false, "
        f"properties: {{out: {shape}, given: {number_list}}}}}\n"
        "accepts: {effects: [{name: set_context, payload_schema: {type: object, additionalProperties: false}}]}\n"
        "capture: {format_version: '1', fields: []}\n"
    )
    event = {"type": "Command", "semantic_kind": "tick", "payload": {"given": [1, 2, 3]}}
    (folder / "events.jsonl").write_text(event_line(event).decode())
    with (folder / "events.jsonl").open("a") as file:
        file.write(event_line(event).decode())

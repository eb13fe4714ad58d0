"""Spec 50 §24, planner and launcher of pipelines: C-136 to C-143."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from plan_lab import EMPTY, NONE, RUN, Lab, code_of, nothing

from ergo_cli.programs.plan.engine import Engine, Phase
from ergo_cli.programs.plan.errors import RunError, StateError
from ergo_cli.programs.plan.manifest import RunConfig, RunManifest, run_config
from ergo_cli.programs.plan.operations import (
    Pipeline,
    PipelineResolver,
    PipelineStep,
    Ports,
    Registry,
    ReportError,
    StateGraph,
    pipeline_manifest,
    plan_pipeline,
    report_of,
    start_pipeline,
)
from ergo_cli.programs.plan.states import Edge, Handler, SideEffects, State, StateMeta

CONFIG = run_config()


class Op:
    """An operation whose states are named ``s1``, ``s2`` …"""

    op_version = "v1"

    def __init__(
        self,
        op_id: str,
        *handlers: Handler,
        ports: Ports = Ports(),
        meta: StateMeta = StateMeta(),
        edges: Sequence[Edge] = (),
    ) -> None:
        self.op_id = op_id
        self._handlers, self._ports, self._meta, self._edges = handlers or (nothing,), ports, meta, edges

    def ports(self, op_config: Any) -> Ports:
        return self._ports

    def expand(self, op_path: str, op_config: Any, config: RunConfig) -> StateGraph:
        states = tuple(State(f"{op_path}.s{n}", each, self._meta) for n, each in enumerate(self._handlers, 1))
        edges = tuple((f"{op_path}.{before}", f"{op_path}.{after}") for before, after in self._edges)
        return StateGraph(states, edges)


def pipeline(*ops: str, **configs: Any) -> Pipeline:
    """A pipeline of the machine ``m``: its steps are ``step1``, ``step2`` …, configured by name."""
    steps = [PipelineStep(f"step{n}", op, "v1", configs.get(f"step{n}")) for n, op in enumerate(ops, 1)]
    return Pipeline("m", "v1", tuple(steps))


def plan(steps: Pipeline, *ops: Op) -> Any:
    return plan_pipeline(steps, Registry(*ops), CONFIG)


def refusal(steps: Pipeline, *ops: Op) -> str:
    with pytest.raises(RunError) as refused:
        plan(steps, *ops)
    return code_of(refused.value)


def test_c50_136_steps_follow_each_other() -> None:
    planned = plan(pipeline("one", "two"), Op("one"), Op("two"))
    assert planned.op_id == "m"
    assert [state.id for state in planned.states] == ["m.step1.s1", "m.step2.s1"]
    assert planned.edges == (("m.step1.s1", "m.step2.s1"),)


def test_c50_136_every_sink_comes_before_every_source() -> None:
    forked = Op("fork", nothing, nothing, nothing, edges=[("s1", "s2"), ("s1", "s3")])
    planned = plan(pipeline("fork", "two"), forked, Op("two", nothing, nothing))
    sinks, sources = ("m.step1.s2", "m.step1.s3"), ("m.step2.s1", "m.step2.s2")
    assert planned.edges[2:] == tuple((sink, source) for sink in sinks for source in sources)


@pytest.mark.parametrize("key", [None, ""])
def test_c50_137_a_side_effect_needs_an_idempotency_key(key: str | None) -> None:
    meta = StateMeta(side_effects=SideEffects.APPLY_SIDE_EFFECT, idempotency=key)
    assert refusal(pipeline("pay"), Op("pay", meta=meta)) == "InvalidPlan missing_idempotency_key"
    plan(pipeline("pay"), Op("pay", meta=replace(meta, idempotency="tx:42")))


IMPORTS = Op("reads", ports=Ports(imports=("x",)))
EXPORTS = Op("writes", ports=Ports(exports=("x",)))


@pytest.mark.parametrize("order", [("reads",), ("reads", "writes")])
def test_c50_138_an_import_must_be_exported_before(order: tuple[str, ...]) -> None:
    assert refusal(pipeline(*order), IMPORTS, EXPORTS) == "InvalidPlan unsatisfied_import"
    plan(pipeline("writes", "reads"), IMPORTS, EXPORTS)


def test_c50_139_a_secret_in_the_configuration_of_a_step() -> None:
    assert refusal(pipeline("none", step1={"password": "x"})) == "InvalidPlan secrets_detected"
    assert refusal(pipeline("none")) == "InvalidPlan op_not_found"


def launched(registry: Registry) -> tuple[Lab, Engine]:
    lab = Lab()
    return lab, replace(lab.engine, resolver=PipelineResolver(registry))


def test_c50_140_a_secret_in_the_input_of_a_pipeline() -> None:
    registry = Registry(Op("one"))
    lab, engine = launched(registry)
    with pytest.raises(RunError) as refused:
        start_pipeline(engine, registry, pipeline("one"), input={"authorization": "Bearer x"})
    assert code_of(refused.value) == "InvalidPlan secrets_detected"
    assert lab.journal.runs() == []
    assert vars(lab.artifacts)["_contents"] == {}


def writes(value: str) -> Handler:
    return lambda ctx, io, rec: ctx.write("x", value)


def test_c50_141_every_step_has_keys_of_its_own() -> None:
    def copies(ctx: Any, io: Any, rec: Any) -> None:
        ctx.write("y", ctx.read("x"))
        assert ctx.dump() == {"y": "v1"}

    first = Op("first", writes("v1"), ports=Ports(exports=("x",)))
    second = Op("second", copies, ports=Ports(imports=("x",)))
    registry = Registry(first, second, Op("third", writes("v2")))
    _, engine = launched(registry)
    result = start_pipeline(engine, registry, pipeline("first", "second", "third"), run_id=RUN)
    assert result.phase is Phase.COMPLETED
    assert result.final_snapshot_id == "1e184b0e9584f205b32a2a8c591c8f1176b74bcebf1618bdede79344af8c3896"
    assert engine.snapshot(result.final_snapshot_id) == {"m.step1.x": "v1", "m.step2.y": "v1", "m.step3.x": "v2"}


def test_c50_142_a_plan_is_made_anew_from_its_manifest() -> None:
    manifest, text = pipeline_manifest(pipeline("one"), {"day": 1}, CONFIG)
    assert json.loads(text)["input_params"]["input"] == {"day": 1}
    planned = PipelineResolver(Registry(Op("one"))).resolve(manifest)
    assert (planned.op_id, [state.id for state in planned.states]) == ("m", ["m.step1.s1"])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"op_id": "other"}, "manifest_op_id_mismatch"),
        ({"op_version": "v2"}, "manifest_op_version_mismatch"),
        ({"input_params": {}}, "manifest_input_deserialize_failed"),
    ],
)
def test_a_manifest_of_another_pipeline(changes: Mapping[str, Any], code: str) -> None:
    manifest: RunManifest = replace(pipeline_manifest(pipeline("one"), None, CONFIG)[0], **changes)
    with pytest.raises(RunError) as refused:
        PipelineResolver(Registry(Op("one"))).resolve(manifest)
    assert code_of(refused.value) == f"InvalidPlan {code}"


def fails(ctx: Any, io: Any, rec: Any) -> None:
    raise StateError.of("intentional_failure", "it was to fail")


KEY = "report_op.main.report"


@pytest.mark.parametrize(
    ("handle", "expected"),
    [
        (lambda ctx, io, rec: ctx.write("report", {"value": 42}), {"value": 42}),
        (nothing, ("MissingReport", f"the last snapshot has no value '{KEY}'")),
        (fails, ("intentional_failure", "it was to fail")),
    ],
    ids=["report", "none", "failure"],
)
def test_c50_143_the_report_of_one_operation(handle: Handler, expected: Any) -> None:
    registry = Registry(Op("report_op", handle))
    _, engine = launched(registry)
    if isinstance(expected, dict):
        assert report_of(engine, registry, ("report_op", "v1"), KEY) == expected
        return
    with pytest.raises(ReportError) as refused:
        report_of(engine, registry, ("report_op", "v1"), KEY)
    assert (refused.value.code, refused.value.message) == expected


def test_c50_143_an_operation_that_is_misnamed() -> None:
    registry = Registry()
    with pytest.raises(ReportError) as refused:
        report_of(launched(registry)[1], registry, ("Report-Op", "v1"), KEY)
    assert refused.value.code == "invalid_op_id"


def test_a_pipeline_leaves_its_manifest() -> None:
    registry = Registry(Op("one"))
    lab, engine = launched(registry)
    result = start_pipeline(engine, registry, pipeline("one"), run_id=RUN)
    started = engine.started(RUN)
    assert lab.artifacts.exists(started.manifest_id)
    assert started.manifest_id != NONE
    assert (started.initial_snapshot_id, result.final_snapshot_id) == (EMPTY, EMPTY)

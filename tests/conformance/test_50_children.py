"""Spec 50 §24, child runs: C-128 to C-135."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from plan_lab import CONFIG_M1, RUN, S1, X1, Lab, World, code_of, fails, write_x

from ergo_cli.core import wire
from ergo_cli.core.json import decode
from ergo_cli.programs.plan.children import await_child, spawn_child
from ergo_cli.programs.plan.engine import Phase
from ergo_cli.programs.plan.errors import IoError
from ergo_cli.programs.plan.failpoints import Failpoint, Failpoints
from ergo_cli.programs.plan.ids import child_run
from ergo_cli.programs.plan.manifest import Normal, RunConfig, run_config
from ergo_cli.programs.plan.states import ExecutionPlan, Handler, State

SPAWN, AWAIT = "machine.child_run.spawn", "machine.child_run.await"
BASELINE = run_config()
CHILD_MANIFEST = "dd63756318bc02afb87e065a605496dc5ff83f4ac0d46e3f174830d19824f690"
NORMAL = run_config(max_attempts=3, event_profile=Normal())


def form(config: RunConfig = BASELINE, **changes: Any) -> dict[str, Any]:
    """A request for a child of ``child_op``."""
    request = {
        "kind": "child_run_spawn_v1",
        "op_id": "child_op",
        "op_version": "v1",
        "op_config": None,
        "input": None,
        "run_config": decode(wire.encode(config)),
        "initial_context": None,
    }
    return {**request, **changes}


def lab_of(parent: Handler, child: Handler = write_x, failpoints: Sequence[Failpoint] = (), **settings: Any) -> Lab:
    plan = ExecutionPlan("child_op", (State("child.main.one", child),))
    return Lab(parent, config=NORMAL, **settings).with_children(plan, failpoints=failpoints)


def family(parent_key: str = "child:1") -> tuple[Handler, list[Any]]:
    """A handler that spawns a child and awaits it, and the responses that it got."""
    seen: list[Any] = []

    def handle(ctx: Any, io: Any, rec: Any) -> None:
        spawned = spawn_child(io, rec, parent_key, op_id="child_op", op_version="v1", run_config=BASELINE)
        ended = await_child(io, rec, "awaited", spawned)
        seen[:] = [spawned.response, ended.response]

    return handle, seen


@pytest.mark.parametrize(
    ("request_", "key", "code"),
    [
        (form(), None, "MissingFactKey missing_fact_key"),
        ({}, "k", "Other child_run_request_invalid"),
        (form(kind="other"), "k", "Other child_run_request_invalid"),
        (form(op_id="Bad-Op"), "k", "Other child_run_request_invalid"),
        (form(), "the api_key", "Other secrets_detected"),
        (form(input={"api_key": 1}), "k", "Other child_run_engine_failed"),
        (form(op_config=1.5), "k", "Other child_run_engine_failed"),
        (form(initial_context=[1]), "k", "Other child_run_engine_failed"),
    ],
)
def test_c50_128_a_child_that_is_asked_for_wrongly(request_: Any, key: str | None, code: str) -> None:
    refused: list[str] = []

    def parent(ctx: Any, io: Any, rec: Any) -> None:
        with pytest.raises(IoError) as caught:
            io.call(SPAWN, request_, key)
        refused.append(code_of(caught.value))

    lab = lab_of(parent)
    assert lab.start().phase is Phase.COMPLETED
    assert refused == [code]
    assert lab.journal.runs() == [RUN]


def test_c50_128_a_wait_that_is_asked_for_wrongly() -> None:
    def parent(ctx: Any, io: Any, rec: Any) -> None:
        for request, key, code in (
            ({"kind": "child_run_await_v1"}, None, "MissingFactKey missing_fact_key"),
            ({}, "k", "Other child_run_request_invalid"),
        ):
            with pytest.raises(IoError) as caught:
                io.call(AWAIT, request, key)
            assert code_of(caught.value) == code

    assert lab_of(parent).start().phase is Phase.COMPLETED


@pytest.mark.parametrize(
    ("key", "child"),
    [
        ("child:1", "4164326b-b04d-50b5-9425-40065301c44c"),
        ("mfm:child-run:test", "ab576fa2-7a39-5a25-a441-ae1b85ebf779"),
    ],
)
def test_c50_129_the_names_of_a_child(key: str, child: str) -> None:
    handle, seen = family(key)
    lab = lab_of(handle)
    assert lab.start().phase is Phase.COMPLETED
    assert child_run(RUN, key) == child
    spawned, _ = seen
    assert (spawned["parent_run_id"], spawned["child_run_id"]) == (RUN, child)
    assert spawned["child_manifest_id"] == CHILD_MANIFEST
    assert lab.artifacts.exists(CHILD_MANIFEST)
    assert lab.journal.runs() == sorted([RUN, child])


def child_events(lab: Lab) -> list[Any]:
    return lab.engine.streams.read(child_run(RUN, "child:1"))


def test_c50_130_a_child_and_how_it_ended() -> None:
    handle, seen = family()
    lab = lab_of(handle)
    assert lab.start().phase is Phase.COMPLETED
    _, ended = seen
    assert ended == {
        "child_run_id": str(child_run(RUN, "child:1")),
        "status": "Completed",
        "final_snapshot_id": X1,
        "final_snapshot": {"x": 1},
    }
    assert [type(each.kernel).__name__ for each in child_events(lab)] == [
        "RunStarted",
        "StateEntered",
        "StateCompleted",
        "RunCompleted",
    ]
    assert lab.events == "RS SE0 FR child_run_spawned FR child_run_completed SC RC"


def test_c50_131_a_parent_that_is_cut_off_spawns_no_second_child() -> None:
    handle, _ = family()
    lab = lab_of(handle)
    lab.engine = replace(lab.engine, failpoints=Failpoints(Failpoint.AFTER_HANDLER))
    assert lab.start().phase is Phase.RUNNING
    assert lab.resume().phase is Phase.COMPLETED
    assert lab.events == "RS SE0 FR child_run_spawned FR child_run_completed SE1 SC RC"
    assert lab.journal.runs() == sorted([RUN, child_run(RUN, "child:1")])
    assert len(child_events(lab)) == 4


def test_c50_132_one_key_is_one_child() -> None:
    refused: list[str] = []

    def parent(ctx: Any, io: Any, rec: Any) -> None:
        with pytest.raises(IoError) as caught:
            io.call(SPAWN, form(), "child:1")
        refused.append(code_of(caught.value))

    handle, _ = family()
    lab = lab_of(handle)
    lab.start()
    events = [text for _, text in lab.journal.scan(child_run(RUN, "child:1"))]
    other = lab_of(parent)
    changed = [text.replace(CHILD_MANIFEST, other.keep_manifest()) for text in events]
    other.journal.append(child_run(RUN, "child:1"), changed)
    assert other.start().phase is Phase.COMPLETED
    assert refused == ["Other child_run_conflict"]


def test_c50_133_a_child_that_fails_is_an_answer() -> None:
    handle, seen = family()
    lab = lab_of(handle, fails(retryable=False))
    assert lab.start().phase is Phase.COMPLETED
    assert (seen[1]["status"], seen[1]["final_snapshot"]) == ("Failed", {})


def test_c50_134_a_child_that_stopped_counts_as_failed() -> None:
    """It stops where it is spawned, and again where it is awaited, which goes on with it."""
    handle, seen = family()
    lab = lab_of(handle, failpoints=[Failpoint.AFTER_ENTERED, Failpoint.AFTER_HANDLER])
    assert lab.start().phase is Phase.COMPLETED
    assert seen[1]["status"] == "Failed"
    assert len(child_events(lab)) == 3


def test_c50_134_a_child_that_stopped_goes_on_where_it_is_awaited() -> None:
    handle, seen = family()
    lab_of(handle, failpoints=[Failpoint.AFTER_HANDLER]).start()
    assert (seen[1]["status"], seen[1]["final_snapshot"]) == ("Completed", {"x": 1})


@pytest.mark.parametrize("namespace", ["test", "machine.child_run", f"{SPAWN}.x"])
def test_c50_135_other_namespaces_reach_the_wrapped_transports(namespace: str) -> None:
    world = World({"n": 0})
    lab = lab_of(lambda ctx, io, rec: io.call(namespace, {}, "k"), world=world)
    lab.start()
    assert [call.namespace for call in world.calls] == [namespace]


def test_a_child_gets_the_wrapped_transports_alone() -> None:
    world = World({"n": 0})
    handle, _ = family()
    lab = lab_of(handle, lambda ctx, io, rec: io.call(SPAWN, {}, "k"), world=world)
    assert lab.start().phase is Phase.COMPLETED
    assert [call.namespace for call in world.calls] == [SPAWN]
    assert [env.state_id for env in world.makes] == [S1, "child.main.one"]


def test_the_configuration_of_a_child_is_its_own() -> None:
    assert CONFIG_M1 != BASELINE
    handle, _ = family()
    lab = lab_of(handle)
    lab.start()
    assert decode(lab.artifacts.get(CHILD_MANIFEST))["run_config"] == decode(wire.encode(BASELINE))

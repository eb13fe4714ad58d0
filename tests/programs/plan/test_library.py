"""What recorded runs of the original do not show: run ids of events, runs under a supervisor, children's linkage."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from ergo_cli.programs.plan.children import ChildRuns, await_child, spawn_child
from ergo_cli.programs.plan.engine import Engine, Phase, StartRun
from ergo_cli.programs.plan.errors import StateError, transport_failed
from ergo_cli.programs.plan.events import DomainEvent, StateFailed
from ergo_cli.programs.plan.facts import IoCall
from ergo_cli.programs.plan.ids import RunId, run_of_event
from ergo_cli.programs.plan.manifest import NO_BUILD, RunManifest, run_config
from ergo_cli.programs.plan.states import ExecutionPlan, Handler, State, StateMeta
from ergo_cli.programs.plan.transports import TransportEnv, TransportFactory
from ergo_cli.stores.artifacts import artifact_id
from ergo_cli.stores.memory import MemoryArtifacts, MemoryJournal

RUN = RunId("11111111-2222-4333-8444-555555555555")


class Answering:
    """A factory whose transports call one function."""

    def __init__(self, answer: Callable[[IoCall], Any]) -> None:
        self._answer = answer

    def make(self, env: TransportEnv) -> Callable[[IoCall], Any]:
        return self._answer


class OnePlan:
    """Resolves every manifest to one plan, under the operation of the manifest."""

    def __init__(self, *handlers: Handler, key: str | None = None) -> None:
        self._handlers, self._key = handlers, key

    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        meta = StateMeta(idempotency=self._key)
        states = [State(f"m.s.h{n}", handle, meta) for n, handle in enumerate(self._handlers)]
        return ExecutionPlan(manifest.op_id, tuple(states))


def run(engine: Engine, plan: OnePlan, **settings: Any) -> Phase:
    manifest = RunManifest("m", "1", {}, run_config(**settings), NO_BUILD)
    start = StartRun(
        manifest=manifest,
        manifest_id=engine.artifacts.put(manifest.canonical()),
        plan=plan.resolve(manifest),
        run_config=manifest.run_config,
        initial_context={},
        run_id=RUN,
    )
    return engine.start(start).phase


def engine_of(
    plan: OnePlan, transports: TransportFactory | None = None, effectful: frozenset[str] | None = None
) -> Engine:
    return Engine(
        journal=MemoryJournal(),
        artifact_store=MemoryArtifacts(),
        resolver=plan,
        entropy=os.urandom,
        transports=transports or Answering(lambda call: {"n": 0}),
        effectful=effectful,
    )


def events_of(engine: Engine, name: str) -> list[Any]:
    found = [each.domain for each in engine.streams.read(RUN)]
    return [event.payload for event in found if isinstance(event, DomainEvent) and event.name == name]


def failure_of(engine: Engine) -> str:
    failed = [each.kernel for each in engine.streams.read(RUN) if isinstance(each.kernel, StateFailed)]
    return failed[-1].error.info.code


def test_the_run_of_an_event() -> None:
    assert run_of_event("pay@1", "e1") == "a92cd1ab-e449-5ac2-9b53-b3c6ed6b4534"


def test_a_run_without_an_id_gets_a_random_one() -> None:
    assert RunId.random(bytes(16)) == "00000000-0000-4000-8000-000000000000"
    assert RunId.random(b"\xff" * 16) == "ffffffff-ffff-4fff-bfff-ffffffffffff"


@pytest.mark.parametrize("effectful", [None, frozenset[str]()])
def test_under_a_supervisor_a_call_needs_a_fact_key(effectful: frozenset[str] | None) -> None:
    plan = OnePlan(lambda ctx, io, rec: ctx.write("r", io.call("api.get", {}).response))
    engine = engine_of(plan, effectful=effectful)
    if effectful is None:
        assert run(engine, plan) is Phase.COMPLETED
    else:
        assert (run(engine, plan), failure_of(engine)) == (Phase.FAILED, "missing_fact_key")


def test_under_a_supervisor_the_error_of_a_call_is_recorded_without_secrets() -> None:
    def refuse(call: IoCall) -> Any:
        raise transport_failed("down", "password=hunter2", details={"api_key": 1})

    plan = OnePlan(lambda ctx, io, rec: ctx.write("r", io.call("api.get", {}, "k").response))
    engine = engine_of(plan, Answering(refuse), frozenset())
    assert run(engine, plan) is Phase.FAILED
    [payload] = events_of(engine, "call_failed")
    info = {"category": "Rpc", "code": "down", "details": None, "message": "error details redacted", "retryable": False}
    assert payload == {"attempt": 0, "error": {"Transport": info}, "key": "k", "state_id": "m.s.h0"}


@pytest.mark.parametrize("key", ["pay:1", None])
def test_an_effectful_call_is_queued_and_needs_an_idempotency_key(key: str | None) -> None:
    calls: list[IoCall] = []
    plan = OnePlan(lambda ctx, io, rec: ctx.write("r", io.call("bank.pay", {"amount": 5}, "k").response), key=key)
    engine = engine_of(plan, Answering(calls.append), frozenset({"bank.pay"}))
    phase = run(engine, plan)
    assert calls == []
    if key is None:
        assert (phase, failure_of(engine)) == (Phase.FAILED, "missing_idempotency_key")
        return
    [fact] = events_of(engine, "fact_recorded")
    effect = {"idempotency_key": key, "namespace": "bank.pay", "request": {"amount": 5}}
    assert (phase, fact["meta"]) == (Phase.COMPLETED, {"effect": effect})


def test_a_binding_says_what_was_asked() -> None:
    plan = OnePlan(lambda ctx, io, rec: ctx.write("r", io.call("api.get", {"x": 1}, "k").response))
    engine = engine_of(plan)
    run(engine, plan)
    [fact] = events_of(engine, "fact_recorded")
    assert fact["meta"] == {"namespace": "api.get", "request_sha256": artifact_id(b'{"x":1}')}


def test_the_linkage_of_a_child_is_noted_once_whatever_is_tried_again() -> None:
    tried: list[int] = []

    def parent(ctx: Any, io: Any, rec: Any) -> None:
        spawned = spawn_child(io, rec, "child", op_id="c", op_version="1", run_config=run_config())
        await_child(io, rec, "await", spawned)
        tried.append(1)
        if len(tried) == 1:
            raise StateError.of("again", "once more", retryable=True)

    plan, children = OnePlan(parent), OnePlan(lambda ctx, io, rec: ctx.write("x", 1))
    engine = engine_of(plan)
    childs = replace(engine, resolver=children)
    whole = replace(engine, transports=ChildRuns(engine.transports, lambda inner: replace(childs, transports=inner)))
    assert run(whole, plan, max_attempts=2) is Phase.COMPLETED
    assert len(tried) == 2
    assert [len(events_of(engine, f"child_run_{what}")) for what in ("spawned", "completed")] == [1, 1]
    [completed] = events_of(engine, "child_run_completed")
    assert completed["status"] == "Completed"


def test_a_code_that_no_stream_may_hold_fails_the_state_instead() -> None:
    def handle(ctx: Any, io: Any, rec: Any) -> None:
        raise StateError.of("Not A Segment", "odd")

    plan = OnePlan(handle)
    engine = engine_of(plan)
    assert (run(engine, plan), failure_of(engine)) == (Phase.FAILED, "handler_exception")
    assert engine.resume(RUN).phase is Phase.FAILED

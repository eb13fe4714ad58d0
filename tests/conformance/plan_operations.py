"""Play recorded pipelines of operations of the original: plan, launch, cut, resume, report, resolve."""

from __future__ import annotations

import json
import os
from typing import Any

from ergo_cli.core import wire
from ergo_cli.core.time import StandingClock
from ergo_cli.programs.plan.engine import Engine
from ergo_cli.programs.plan.errors import ErrorInfo, InvalidPlan, RunError, json_form
from ergo_cli.programs.plan.ids import RunId
from ergo_cli.programs.plan.manifest import RunConfig, RunManifest
from ergo_cli.programs.plan.operations import (
    Pipeline,
    PipelineResolver,
    Ports,
    Registry,
    ReportError,
    StateGraph,
    plan_pipeline,
    report_of,
    start_pipeline,
)
from ergo_cli.programs.plan.states import SideEffects, State, StateMeta, order_of
from tests.conformance.plan_scenarios import FaultyArtifacts, FaultyJournal, play

Json = Any


class CountingClock(StandingClock):
    """A wall clock that goes on by a millisecond whenever it is read."""

    def __init__(self) -> None:
        self._next = 1_700_000_000_000

    def wall_ms(self) -> int:
        self._next += 1
        return self._next - 1


class ScriptedOperation:
    """An operation of a recorded case."""

    def __init__(self, text: Json, world: OperationWorld) -> None:
        self._text, self._world = text, world
        self.op_id, self.op_version = text["op_id"], text["op_version"]

    def ports(self, op_config: Json) -> Ports:
        self._fail("io_error")
        return Ports(tuple(self._text.get("imports", ())), tuple(self._text.get("exports", ())))

    def expand(self, op_path: str, op_config: Json, config: RunConfig) -> StateGraph:
        self._fail("expand_error")
        states = tuple(self._state(op_path, state) for state in self._text["states"])
        edges = tuple((_whole(op_path, a), _whole(op_path, b)) for a, b in self._text["edges"])
        return StateGraph(states, edges)

    def _fail(self, which: str) -> None:
        if which in self._text:
            raise RunError(InvalidPlan(wire.read(self._text[which], ErrorInfo)))

    def _state(self, path: str, text: Json) -> State:
        idempotency = text.get("idempotency", "None")
        meta = StateMeta(
            tags=tuple(text.get("tags", ())),
            side_effects=SideEffects(text.get("side_effects", "Pure")),
            idempotency=None if idempotency == "None" else idempotency["Key"],
        )
        state_id = _whole(path, text["local"])
        return State(state_id, self._world.handler(state_id, text.get("scripts", [])), meta)


class OperationWorld:
    """The stores and the log of one recorded case."""

    def __init__(self, case: Json, header: Json) -> None:
        self.case = case
        self.run_id = RunId(header["run_id"])
        self.config = wire.read(case.get("run_config", header["default_run_config"]), RunConfig)
        self.registry = Registry(*(ScriptedOperation(op, self) for op in case["ops"]))
        self.handlers: list[Json] = []
        self.invocations: dict[str, int] = {}

    def handler(self, state_id: str, scripts: list[Json]) -> Any:
        def handle(ctx: Any, io: Any, rec: Any) -> Any:
            number = self.invocations.get(state_id, 0)
            self.invocations[state_id] = number + 1
            log: list[Json] = []
            self.handlers.append({"state": state_id, "invocation": number, "ops": log})
            return play(scripts[min(number, len(scripts) - 1)] if scripts else [], log, ctx, io, rec)

        return handle

    def play(self) -> Json:
        pipeline: Pipeline = wire.read(self.case["pipeline"], Pipeline)
        found: Json = {"plan": self._plan(pipeline)}
        journal, artifacts = FaultyJournal(), FaultyArtifacts()
        engine = self._engine(journal, artifacts)
        found["launch"] = _tried(
            lambda: start_pipeline(
                engine,
                self.registry,
                pipeline,
                input=self.case["input"],
                config=self.config,
                initial_context=self.case.get("initial_context"),
                run_id=self.run_id,
            )
        )
        found["events"] = self._events(journal)
        found["handlers"] = list(self.handlers)
        found["artifact_ids"] = sorted(artifacts.put_ids)
        if "truncate_then_resume" in self.case:
            del journal.texts[self.run_id][self.case["truncate_then_resume"] :]
            self.handlers.clear()
            result = _tried(lambda: engine.resume(self.run_id))
            appended = self._events(journal)[self.case["truncate_then_resume"] :]
            found["resume"] = {"result": result, "appended": appended, "handlers": list(self.handlers)}
        if "report_key" in self.case:
            found["report"] = self._report()
        if "resolve_manifest" in self.case:
            found["resolve"] = self._resolve()
        return found

    def _events(self, journal: FaultyJournal) -> list[Json]:
        events = map(json.loads, journal.texts.get(self.run_id, []))
        return [{"seq": event["seq"], "event": event["event"]} for event in events]

    def _plan(self, pipeline: Pipeline) -> Json:
        try:
            plan = plan_pipeline(pipeline, self.registry, self.config)
        except RunError as error:
            return {"err": json_form(error.info)}
        try:
            order = list(order_of(plan))
        except RunError:
            order = None
        states = [state.id for state in plan.states]
        return {"ok": {"op_id": plan.op_id, "states": states, "edges": list(map(list, plan.edges)), "order": order}}

    def _report(self) -> Json:
        engine = self._engine(FaultyJournal(), FaultyArtifacts())
        op = tuple(self.case["report_op"])
        try:
            return {"ok": report_of(engine, self.registry, op, self.case["report_key"], self.case.get("report_config"))}
        except ReportError as error:
            return {"err": {"code": error.code, "message": error.message}}

    def _resolve(self) -> Json:
        manifest: RunManifest = wire.read(self.case["resolve_manifest"], RunManifest)
        try:
            return {"ok": [state.id for state in PipelineResolver(self.registry).resolve(manifest).states]}
        except RunError as error:
            return {"err": json_form(error.form)}

    def _engine(self, journal: FaultyJournal, artifacts: FaultyArtifacts) -> Engine:
        return Engine(
            journal=journal,
            artifact_store=artifacts,
            resolver=PipelineResolver(self.registry),
            clock=CountingClock(),
            entropy=os.urandom,
        )


def _whole(path: str, local: str) -> str:
    return local if "." in local else f"{path}.{local}"


def _tried(call: Any) -> Json:
    try:
        result = call()
        return {"ok": {"phase": result.phase.value, "final_snapshot_id": result.final_snapshot_id}}
    except RunError as error:
        return {"err": json_form(error.form)}

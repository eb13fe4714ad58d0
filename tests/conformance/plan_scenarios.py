"""Play recorded scenarios of the original plan engine: scripted handlers, transports, clocks and faults of stores."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from ergo_cli.core import wire
from ergo_cli.programs.plan.children import ChildRuns
from ergo_cli.programs.plan.context import StagedContext
from ergo_cli.programs.plan.engine import Engine, RunResult, StartRun
from ergo_cli.programs.plan.errors import (
    ErrorCategory,
    IoError,
    IoForm,
    NotFound,
    Other,
    PlanError,
    RunError,
    RunForm,
    StateError,
    StorageError,
    invalid_plan,
    json_form,
    storage_info,
)
from ergo_cli.programs.plan.events import Domain, DomainEvent, Envelope, line
from ergo_cli.programs.plan.failpoints import Failpoint, Failpoints
from ergo_cli.programs.plan.ids import RunId
from ergo_cli.programs.plan.manifest import RunConfig, RunManifest
from ergo_cli.programs.plan.states import ExecutionPlan, SnapshotPolicy, State, StateMeta, StateOutcome
from ergo_cli.programs.plan.transports import NoTransports, Router, TransportEnv, TransportFactory
from ergo_cli.stores.artifacts import artifact_id
from ergo_cli.stores.journals import check_head

DATA = Path(__file__).parent / "data" / "spec50"

Json = Any


def load(name: str) -> Json:
    """One of the files of recorded cases."""
    return json.loads((DATA / f"{name}.json").read_text())


class FaultyArtifacts:
    """Artifacts in memory, with the faults that a scenario asks for."""

    def __init__(self) -> None:
        self.bytes: dict[str, bytes] = {}
        self.put_ids: set[str] = set()
        self.fail_put = False
        self.wrong_id = False
        self.fail_get: list[str] = []

    def put(self, data: bytes) -> str:
        if self.fail_put:
            raise StorageError(Other(storage_info("injected_put_failure", "injected")))
        artifact = artifact_id(data)
        self.bytes[artifact] = data
        self.put_ids.add(artifact)
        return "f" * 64 if self.wrong_id else artifact

    def get(self, artifact: str) -> bytes:
        if artifact in self.fail_get:
            raise StorageError(Other(storage_info("injected_get_failure", "injected")))
        if artifact not in self.bytes:
            raise StorageError(NotFound(storage_info("artifact_not_found", "absent")))
        return self.bytes[artifact]

    def exists(self, artifact: str) -> bool:
        return artifact in self.bytes


class FaultyJournal:
    """A journal in memory that keeps whatever a scenario seeds, with the faults that it asks for."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.fail_at: int | None = None
        self.race_at: int | None = None

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        head = self.head(run)
        if texts and head + 1 == self.fail_at:
            raise StorageError(Other(storage_info("injected_append_failure", "injected")))
        if texts and head + 1 == self.race_at:
            self.race_at = None
            head += 1
            intruder = Envelope(RunId(run), head, None, Domain(DomainEvent("intruder", {})))
            self.texts.setdefault(run, []).append(line(intruder).decode())
        check_head(run, head, expected_head)
        self.texts.setdefault(run, []).extend(texts)
        return head + len(texts)

    def scan(self, run: str, start: int = 1, to: int | None = None) -> Iterator[tuple[int, str]]:
        for text in self.texts.get(run, ()):
            seq = json.loads(text)["seq"]
            if start <= seq and (to is None or seq <= to):
                yield seq, text

    def head(self, run: str) -> int:
        texts = self.texts.get(run)
        return json.loads(texts[-1])["seq"] if texts else 0

    def runs(self) -> list[str]:
        return sorted(self.texts)


class World:
    """Everything around an engine that a scenario scripts."""

    def __init__(self, scenario: Json, header: Json) -> None:
        self.header = header
        self.scenario = scenario
        self.journal = FaultyJournal()
        self.artifacts = FaultyArtifacts()
        self.clock = list(scenario.get("clock", []))
        self.random = list(scenario.get("random", []))
        self.sleeps: list[Json] = []
        self.handlers: list[Json] = []
        self.calls: list[Json] = []
        self.makes: list[Json] = []
        self.invocations: dict[str, int] = {}
        self.answered: dict[str, int] = {}
        self.resolved = 0
        self.plan_text: Json = scenario.get("plan")
        self.manifest = self._manifest()

    def _manifest(self) -> RunManifest:
        value = deepcopy(self.header["base_manifest"])
        value.update(self.scenario.get("manifest_fields", {}))
        value["run_config"] = {**value["run_config"], **self.scenario.get("config", {})}
        return wire.read(value, RunManifest)

    # clock, entropy, resolver: what the engine asks for

    def wall_ms(self) -> int:
        return self.clock.pop(0)

    def monotonic_ns(self) -> int:
        return 0

    def sleep_ns(self, duration: int) -> None:
        secs, nanos = divmod(duration, 10**9)
        self.sleeps.append({"secs": secs, "nanos": nanos})

    def entropy(self, count: int) -> bytes:
        return bytes.fromhex(self.random.pop(0))[:count].ljust(count, b"\0")

    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        self.resolved += 1
        children = self.header.get("child_plans", {})
        if manifest.op_id == self.manifest.op_id:
            text = self.plan_text
        elif manifest.op_id in children:
            text = children[manifest.op_id]
        else:
            raise invalid_plan("op_not_found", "no such operation")
        if "resolver_error" in text:
            raise RunError(wire.read(text["resolver_error"], RunForm))
        return self.plan(text, manifest.op_id)

    def plan(self, text: Json, op_id: str) -> ExecutionPlan:
        states = tuple(self._state(state) for state in text["states"])
        return ExecutionPlan(text.get("op_id", op_id), states, tuple((a, b) for a, b in text["edges"]))

    def _state(self, text: Json) -> State:
        meta = StateMeta(tags=tuple(text.get("tags", ())))
        scripts = text.get("scripts", [])

        def handle(ctx: StagedContext, io: Any, rec: Any) -> StateOutcome | None:
            number = self.invocations.get(text["id"], 0)
            self.invocations[text["id"]] = number + 1
            script = scripts[min(number, len(scripts) - 1)] if scripts else []
            log: list[Json] = []
            self.handlers.append({"state": text["id"], "invocation": number, "ops": log})
            return play(script, log, ctx, io, rec)

        return State(text["id"], handle, meta)

    def transports(self) -> TransportFactory:
        answers = self.scenario.get("transport")
        if answers is None:
            return NoTransports()
        scripted = {group: _Scripted(self, group, given, len(answers) > 1) for group, given in answers.items()}
        return Router(scripted)

    # the steps of a scenario

    def play(self) -> list[Json]:
        manifest_text = self.manifest_text()
        if self.scenario.get("store_manifest", True) and manifest_text is not None:
            self.artifacts.bytes[artifact_id(manifest_text)] = manifest_text
        self._seed()
        return [self._step(step) for step in self.scenario["steps"]]

    def manifest_text(self) -> bytes | None:
        try:
            return self.manifest.canonical()
        except ValueError:
            return None

    @property
    def manifest_id(self) -> str:
        text = self.manifest_text()
        return "0" * 64 if text is None else artifact_id(text)

    def _seed(self) -> None:
        seed = self.scenario.get("seed", {})
        run_id = self.header["run_id"]
        texts = [json.dumps({"run_id": run_id, "ts_millis": None, **event}) for event in seed.get("events", ())]
        if texts:
            self.journal.texts[run_id] = texts
        for artifact, content in seed.get("artifacts", {}).items():
            self.artifacts.bytes[artifact] = _bytes(content)

    def _step(self, step: Json) -> Json:
        run_id = self.header["run_id"]
        match step["do"]:
            case "truncate":
                del self.journal.texts[run_id][step["keep"] :]
            case "drop_artifact":
                self.artifacts.bytes.pop(self._id(step["id"]), None)
            case "put_raw":
                self.artifacts.bytes[self._id(step["id"])] = step["utf8"].encode()
            case "set_plan":
                self.plan_text = step["plan"]
            case "start" | "resume":
                return self._call(step)
            case other:
                raise AssertionError(other)
        return {"do": step["do"]}

    def _id(self, text: str) -> str:
        return self.manifest_id if text == "@manifest" else text

    def _call(self, step: Json) -> Json:
        run_id = RunId(step.get("run_id", self.header["run_id"]))
        for log in (self.sleeps, self.handlers, self.calls, self.makes):
            log.clear()
        self.resolved = 0
        before = {run: self.journal.head(run) for run in self.journal.runs()}
        self.journal.fail_at, self.journal.race_at = step.get("fail_append_at_seq"), step.get("race_at_seq")
        artifacts = self.artifacts
        artifacts.fail_put, artifacts.wrong_id = step.get("fail_put", False), step.get("put_returns_wrong_id", False)
        artifacts.fail_get = step.get("fail_get", [])
        engine = self.engine(step)
        try:
            result = {"ok": _result(self._start(engine, step) if step["do"] == "start" else engine.resume(run_id))}
        except RunError as error:
            result = {"err": json_form(error.form)}
        artifacts.fail_put, artifacts.wrong_id, artifacts.fail_get = False, False, []
        self.journal.fail_at = self.journal.race_at = None
        appended = self._appended(before)
        own = self.header["run_id"]
        return {
            "do": step["do"],
            "result": result,
            "head": self.journal.head(run_id),
            "appended": appended.pop(own, []),
            "appended_other_runs": appended,
            "handlers": list(self.handlers),
            "transport_calls": list(self.calls),
            "transport_makes": sorted(self.makes),
            "sleeps": list(self.sleeps),
            "plan_resolved": self.resolved,
        }

    def engine(self, step: Json) -> Engine:
        inner = self.transports()
        if not self.scenario.get("child_runs"):
            return self._engine(inner, step)
        return self._engine(ChildRuns(inner, lambda transports: self._engine(transports, {})), step)

    def _engine(self, transports: TransportFactory, step: Json) -> Engine:
        return Engine(
            journal=self.journal,
            artifact_store=self.artifacts,
            resolver=self,
            transports=transports,
            clock=self,
            entropy=self.entropy,
            failpoints=Failpoints(*([Failpoint.AFTER_HANDLER] if step.get("failpoint") else [])),
        )

    def _start(self, engine: Engine, step: Json) -> RunResult:
        config = self.manifest.run_config
        if "run_config" in step:
            whole = {**json_form(self.manifest)["run_config"], **step["run_config"]}
            config = wire.read(whole, RunConfig)
        plan = self.plan(self.plan_text, step.get("plan_op_id", self.manifest.op_id))
        return engine.start(
            StartRun(
                manifest=self.manifest,
                manifest_id=step.get("manifest_id", self.manifest_id),
                plan=plan,
                run_config=config,
                initial_context=self.scenario.get("initial_context", {}),
                run_id=RunId(self.header["run_id"]),
            )
        )

    def _appended(self, before: dict[str, int]) -> dict[str, list[Json]]:
        added: dict[str, list[Json]] = {}
        for run in self.journal.runs():
            events = [json.loads(text) for seq, text in self.journal.scan(run) if seq > before.get(run, 0)]
            if events:
                added[run] = [{"seq": event["seq"], "event": event["event"]} for event in events]
        return added


class _Scripted:
    """A transport whose answers are scripted; the last one repeats."""

    def __init__(self, world: World, group: str, answers: list[Json], named: bool) -> None:
        self._world, self._group, self._answers, self._named = world, group, answers, named

    def make(self, env: TransportEnv) -> Callable[..., Json]:
        self._world.makes.append([env.state_id, env.attempt, *([self._group] if self._named else [])])

        def answer(call: Any) -> Json:
            number = self._world.answered.get(self._group, 0)
            self._world.answered[self._group] = number + 1
            self._world.calls.append({"group": self._group, "call": json_form(call)})
            given = self._answers[min(number, len(self._answers) - 1)]
            if "err" in given:
                raise IoError(wire.read(given["err"], IoForm))
            return deepcopy(given["ok"])

        return answer


def _result(result: RunResult) -> Json:
    return {"phase": result.phase.value, "final_snapshot_id": result.final_snapshot_id}


def _bytes(content: Json) -> bytes:
    return content["utf8"].encode() if "utf8" in content else bytes.fromhex(content["hex"])


class _Returned(Exception):
    def __init__(self, policy: str) -> None:
        self.policy = policy


def play(script: list[Json], log: list[Json], ctx: StagedContext, io: Any, rec: Any) -> StateOutcome | None:
    """The handler of a scripted state."""
    for op in script:
        try:
            log.append(_played(op, ctx, io, rec))
        except _Returned as returned:
            log.append("returned")
            return StateOutcome(SnapshotPolicy(returned.policy))
        except StateError as error:
            log.append("failed")
            raise error
        except PlanError as error:
            log.append({"err": _family(error)})
            raise StateError.of(
                error.info.code,
                error.info.message,
                category=error.info.category,
                retryable=error.info.retryable,
                details=error.info.details,
            ) from error
    return None


def _family(error: PlanError) -> Json:
    form = json_form(error.form)
    if isinstance(error, RunError):
        return {"Run": form}
    return {"Io": form} if isinstance(error, IoError) else {"Context": form}


def _played(op: Json, ctx: StagedContext, io: Any, rec: Any) -> Json:
    name, *args = op
    args = [*args, None, None, None, None]
    match name:
        case "write":
            ctx.write(args[0], args[1])
        case "delete":
            ctx.delete(args[0])
        case "read":
            return {"present": ctx.read(args[0])} if args[0] in ctx else "absent"
        case "read_u64":
            value = ctx.read_typed(args[0], Annotated[int, Meta(ge=0)])
            return "absent" if value is None else {"present": value}
        case "copy":
            if args[0] in ctx:
                ctx.write(args[1], ctx.read(args[0]))
        case "bump":
            value = ctx.read(args[0])
            ctx.write(args[0], (value if type(value) is int else 0) + 1)
        case "dump":
            return {"dump": ctx.dump()}
        case "call":
            result = io.call(args[0], args[1], args[2])
            if args[3] is not None:
                ctx.write(args[3], result.response)
            return json_form(result)
        case "record":
            return _into(ctx, args[2], io.record_value(args[0], args[1]))
        case "await_child":
            source = ctx.read(args[0]) or {}
            request = {"kind": "child_run_await_v1"} | {
                name: source.get(name) for name in ("child_run_id", "child_manifest_id")
            }
            return _played(["call", "machine.child_run.await", request, args[1], args[2]], ctx, io, rec)
        case "get_fact":
            found = io.get_recorded_fact(args[0])
            return _into(ctx, args[1], found)
        case "now":
            return _into(ctx, args[0], io.now_millis())
        case "random":
            return _into(ctx, args[1], io.random_bytes(args[0]).hex())
        case "emit":
            rec.emit(args[0], args[1], args[2])
        case "emit_many":
            rec.emit_many([DomainEvent(name, payload) for name, payload in args[0]])
        case "fail":
            raise StateError.of(
                args[0].get("code", "failed"),
                args[0].get("message", "failed"),
                category=wire.read(args[0].get("category", "Unknown"), ErrorCategory),
                retryable=args[0].get("retryable", False),
                details=args[0].get("details"),
                state_id=args[1],
            )
        case "return":
            raise _Returned(args[0])
        case "try":
            try:
                return _played(args[0], ctx, io, rec)
            except PlanError as error:
                return "failed" if isinstance(error, StateError) else {"err": _family(error)}
        case other:
            raise AssertionError(other)
    return None


def _into(ctx: StagedContext, key: str | None, value: Json) -> Json:
    if key is not None:
        ctx.write(key, value)
    return value

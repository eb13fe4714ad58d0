"""Child runs: a transport that starts and awaits runs in the stores of their parent (spec 50 §17).

A child runs to its end inside the call that spawns it, so that streams and facts come in one order. Its own transports
are those that were wrapped: a child has no children.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar, cast

from msgspec import Struct

from ergo_cli.core import wire
from ergo_cli.core.json import NotCanonicalError
from ergo_cli.core.wire import FreeValue, WireError
from ergo_cli.programs.plan.canonical import SecretsNotAllowed, refusal
from ergo_cli.programs.plan.context import read_snapshot
from ergo_cli.programs.plan.engine import Engine, Phase, RunResult, StartRun
from ergo_cli.programs.plan.errors import ErrorCategory, IoError, PlanError, io_failed, json_form
from ergo_cli.programs.plan.events import DomainEvent
from ergo_cli.programs.plan.facts import FactIo, IoCall, IoResult, Transport, missing_fact_key, refuse_secret_key
from ergo_cli.programs.plan.ids import ArtifactId, OpId, RunId, child_run
from ergo_cli.programs.plan.leases import driving
from ergo_cli.programs.plan.manifest import NO_BUILD, RunConfig, RunManifest
from ergo_cli.programs.plan.recorder import Recorder
from ergo_cli.programs.plan.transports import TransportEnv, TransportFactory

SPAWN = "machine.child_run.spawn"
AWAIT = "machine.child_run.await"

_SPAWN_KIND = "child_run_spawn_v1"
_AWAIT_KIND = "child_run_await_v1"


class SpawnRequest(Struct, frozen=True, kw_only=True):
    """What to run as a child: one operation with its configuration, input and first context."""

    kind: str
    op_id: OpId
    op_version: str
    op_config: FreeValue = None
    input: FreeValue = None
    run_config: RunConfig
    initial_context: FreeValue = None


class AwaitRequest(Struct, frozen=True):
    """Which child to wait for."""

    kind: str
    child_run_id: RunId
    child_manifest_id: ArtifactId


R = TypeVar("R", SpawnRequest, AwaitRequest)


class ChildRuns(Struct, frozen=True):
    """A factory that answers the two namespaces of child runs and forwards all other calls to ``inner``.

    ``engine`` makes the engine of a child whose transports are the inner ones.
    """

    inner: TransportFactory
    engine: Callable[[TransportFactory], Engine]

    def make(self, env: TransportEnv) -> Transport:
        """The transport of one attempt of the parent."""
        forward = self.inner.make(env)

        def answer(call: IoCall) -> FreeValue:
            if call.namespace == SPAWN:
                return self._spawn(env.run_id, call)
            if call.namespace == AWAIT:
                return self._await(call)
            return forward(call)

        return answer

    def _spawn(self, parent: RunId, call: IoCall) -> FreeValue:
        engine = self.engine(self.inner)
        key = _fact_key(call, engine)
        request = _request(call, SpawnRequest, _SPAWN_KIND)
        child = child_run(parent, key)
        manifest = _manifest(request)
        manifest_id = self._put(engine, manifest)
        self._drive(engine, parent, child, manifest, manifest_id, request.initial_context)
        return {
            "child_initial_snapshot_id": engine.started(child).initial_snapshot_id,
            "child_manifest_id": manifest_id,
            "child_run_id": str(child),
            "parent_run_id": str(parent),
        }

    def _drive(
        self,
        engine: Engine,
        parent: RunId,
        child: RunId,
        manifest: RunManifest,
        manifest_id: str,
        initial: FreeValue,
    ) -> None:
        """Start the child, or continue it, under a lease that names its parent. Raises IoError."""
        with ExitStack() as stack:
            try:
                stack.enter_context(driving(engine.leases, child, parent))
            except PlanError as error:
                raise io_failed("child_run_engine_failed", error.message, ErrorCategory.STORAGE) from error
            if engine.streams.head(child):
                self._check_same(engine, child, manifest_id)
                self._driven(lambda: engine.resume(child))
            else:
                self._start(engine, child, manifest, manifest_id, initial)

    def _await(self, call: IoCall) -> FreeValue:
        engine = self.engine(self.inner)
        _fact_key(call, engine)
        request = _request(call, AwaitRequest, _AWAIT_KIND)
        result = self._driven(lambda: engine.resume(request.child_run_id), "child_run_engine_failed")
        ended = result.phase if result.phase is not Phase.RUNNING else Phase.FAILED
        snapshot = result.final_snapshot_id
        return {
            "child_run_id": str(request.child_run_id),
            "final_snapshot": None if snapshot is None else _snapshot(engine, snapshot),
            "final_snapshot_id": snapshot,
            "status": ended.value,
        }

    def _start(self, engine: Engine, child: RunId, manifest: RunManifest, manifest_id: str, initial: FreeValue) -> None:
        try:
            plan = engine.resolver.resolve(manifest)
        except PlanError as error:
            raise io_failed("child_run_engine_failed", error.message, ErrorCategory.UNKNOWN) from error
        if not isinstance(initial, dict | None):
            raise io_failed("child_run_engine_failed", "`initial_context` must be an object", ErrorCategory.CONTEXT)
        start = StartRun(
            manifest=manifest,
            manifest_id=manifest_id,
            plan=plan,
            run_config=manifest.run_config,
            initial_context=cast("dict[str, FreeValue]", initial or {}),
            run_id=child,
        )
        self._driven(lambda: engine.start(start))

    def _driven(self, drive: Callable[[], RunResult], code: str = "child_run_task_failed") -> RunResult:
        try:
            return drive()
        except PlanError as error:
            category = ErrorCategory.STORAGE if code == "child_run_engine_failed" else ErrorCategory.UNKNOWN
            raise io_failed(code, f"the child run cannot go on: {error.message}", category) from error

    def _put(self, engine: Engine, manifest: RunManifest) -> str:
        try:
            text = manifest.canonical(engine.allowed_names)
        except (SecretsNotAllowed, NotCanonicalError) as error:
            message = f"the child's manifest is refused: {refusal(error)}"
            raise io_failed("child_run_engine_failed", message, ErrorCategory.PARSING_INPUT) from error
        try:
            return engine.artifacts.put(text)
        except PlanError as error:
            mismatch = error.info.code == "artifact_put_id_mismatch"
            code = "child_run_manifest_id_mismatch" if mismatch else "child_run_engine_failed"
            raise io_failed(code, error.message, ErrorCategory.STORAGE) from error

    def _check_same(self, engine: Engine, child: RunId, manifest_id: str) -> None:
        try:
            known = engine.started(child).manifest_id
        except PlanError as error:
            raise io_failed("child_run_engine_failed", error.message, ErrorCategory.STORAGE) from error
        if known != manifest_id:
            message = f"the child run '{child}' was spawned with the manifest {known}"
            raise io_failed("child_run_conflict", message, ErrorCategory.UNKNOWN)


def spawn_child(
    io: FactIo,
    rec: Recorder,
    key: str,
    *,
    op_id: str,
    op_version: str,
    run_config: RunConfig,
    op_config: FreeValue = None,
    input: FreeValue = None,
    initial_context: FreeValue = None,
) -> IoResult:
    """Run an operation as a child and note it in the stream; the fact key names the child. Raises IoError, RunError."""
    is_known = io.get_recorded_fact(key) is not None
    request = SpawnRequest(
        kind=_SPAWN_KIND,
        op_id=op_id,
        op_version=op_version,
        op_config=op_config,
        input=input,
        run_config=run_config,
        initial_context=initial_context,
    )
    result = io.call(SPAWN, json_form(request), key)
    if not is_known:
        names = ("parent_run_id", "child_run_id", "child_manifest_id")
        rec.emit_many([DomainEvent("child_run_spawned", {name: result.response[name] for name in names})])
    return result


def await_child(io: FactIo, rec: Recorder, key: str, spawned: IoResult) -> IoResult:
    """How a child ended, noted in the stream. Raises IoError, RunError."""
    is_known = io.get_recorded_fact(key) is not None
    names = ("child_run_id", "child_manifest_id")
    request = {"kind": _AWAIT_KIND, **{name: spawned.response[name] for name in names}}
    result = io.call(AWAIT, request, key)
    if not is_known:
        names = ("child_run_id", "status", "final_snapshot_id")
        rec.emit_many([DomainEvent("child_run_completed", {name: result.response[name] for name in names})])
    return result


def _manifest(request: SpawnRequest) -> RunManifest:
    step = {
        "op_config": request.op_config,
        "op_id": request.op_id,
        "op_version": request.op_version,
        "step_id": "main",
    }
    pipeline = {"machine_id": request.op_id, "pipeline_version": request.op_version, "steps": [step]}
    params = {"input": request.input, "pipeline": pipeline}
    return RunManifest(request.op_id, request.op_version, params, request.run_config, NO_BUILD)


def _fact_key(call: IoCall, engine: Engine) -> str:
    if call.fact_key is None:
        raise missing_fact_key(call.namespace)
    refuse_secret_key(call.fact_key, engine.allowed_names)
    return call.fact_key


def _request(call: IoCall, form: type[R], kind: str) -> R:
    try:
        request = wire.read(call.request, form)
    except WireError as error:
        raise _invalid(call, str(error)) from error
    if request.kind != kind:
        raise _invalid(call, f"its kind is '{request.kind}', expected '{kind}'")
    return request


def _invalid(call: IoCall, why: str) -> IoError:
    message = f"the request to '{call.namespace}' is wrong: {why}"
    return io_failed("child_run_request_invalid", message, ErrorCategory.PARSING_INPUT)


def _snapshot(engine: Engine, snapshot: str) -> FreeValue:
    try:
        return read_snapshot(engine.artifacts, snapshot)
    except PlanError as error:
        raise io_failed("child_run_engine_failed", error.message, ErrorCategory.STORAGE) from error

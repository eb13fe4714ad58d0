"""Child runs: a transport that starts and awaits runs in the stores of their parent (spec 50 §17).

A child runs to its end inside the call that spawns it, so that streams and facts come in one order. Its own transports
are those that were wrapped: a child has no children.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.core.json import NotCanonicalError
from ergo_cli.core.wire import FreeValue, WireError
from ergo_cli.programs.plan.canonical import SecretsNotAllowed, refusal
from ergo_cli.programs.plan.context import read_snapshot
from ergo_cli.programs.plan.engine import Engine, Phase, RunResult, StartRun
from ergo_cli.programs.plan.errors import ErrorCategory, IoError, PlanError, io_failed, is_store_failure, json_form
from ergo_cli.programs.plan.events import DomainEvent, RunStarted
from ergo_cli.programs.plan.facts import FactIo, IoCall, IoResult, Transport, missing_fact_key, refuse_secret_key
from ergo_cli.programs.plan.ids import ArtifactId, OpId, RunId, child_run
from ergo_cli.programs.plan.leases import driving
from ergo_cli.programs.plan.manifest import NO_BUILD, RunConfig, RunManifest
from ergo_cli.programs.plan.recorder import Recorder
from ergo_cli.programs.plan.stream import StoreFailed
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
                return self._spawn(env, call)
            if call.namespace == AWAIT:
                return self._await(env, call)
            return forward(call)

        return answer

    def _spawn(self, env: TransportEnv, call: IoCall) -> FreeValue:
        parent = env.run_id
        engine = replace(self.engine(self.inner), turn=env.turn)
        key = _fact_key(call, engine)
        request = _request(call, SpawnRequest, _SPAWN_KIND)
        child = child_run(parent, key)
        manifest = _manifest(request)
        manifest_id = _put(engine, manifest)
        _drive(engine, parent, child, manifest, manifest_id, request.initial_context)
        return {
            "child_initial_snapshot_id": _started(engine, child).initial_snapshot_id,
            "child_manifest_id": manifest_id,
            "child_run_id": str(child),
            "parent_run_id": str(parent),
        }

    def _await(self, env: TransportEnv, call: IoCall) -> FreeValue:
        engine = replace(self.engine(self.inner), turn=env.turn)
        _fact_key(call, engine)
        request = _request(call, AwaitRequest, _AWAIT_KIND)
        result = _driven(engine, lambda: engine.resume(request.child_run_id), "child_run_engine_failed")
        ended = result.phase if result.phase is not Phase.RUNNING else Phase.FAILED
        snapshot = result.final_snapshot_id
        return {
            "child_run_id": str(request.child_run_id),
            "final_snapshot": None if snapshot is None else _snapshot(engine, snapshot),
            "final_snapshot_id": snapshot,
            "status": ended.value,
        }


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


def _drive(
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
            is_known = engine.streams.head(child) > 0
        except PlanError as error:
            raise _failed(engine, error, "child_run_engine_failed") from error
        if is_known:
            _check_same(engine, child, manifest_id)
            _driven(engine, lambda: engine.resume(child))
        else:
            _start(engine, child, manifest, manifest_id, initial)


def _start(engine: Engine, child: RunId, manifest: RunManifest, manifest_id: str, initial: FreeValue) -> None:
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
    _driven(engine, lambda: engine.start(start))


def _driven(engine: Engine, drive: Callable[[], RunResult], code: str = "child_run_task_failed") -> RunResult:
    try:
        return drive()
    except PlanError as error:
        category = ErrorCategory.STORAGE if code == "child_run_engine_failed" else ErrorCategory.UNKNOWN
        raise _failed(engine, error, code, category, "the child run cannot go on: ") from error


def _put(engine: Engine, manifest: RunManifest) -> str:
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
        raise _failed(engine, error, code) from error


def _check_same(engine: Engine, child: RunId, manifest_id: str) -> None:
    known = _started(engine, child).manifest_id
    if known != manifest_id:
        message = f"the child run '{child}' was spawned with the manifest {known}"
        raise io_failed("child_run_conflict", message, ErrorCategory.UNKNOWN)


def _started(engine: Engine, child: RunId) -> RunStarted:
    try:
        return engine.started(child)
    except PlanError as error:
        raise _failed(engine, error, "child_run_engine_failed") from error


def _failed(
    engine: Engine, error: PlanError, code: str, category: ErrorCategory = ErrorCategory.STORAGE, what: str = ""
) -> IoError | StoreFailed:
    """What a call raises because of an error of the child: under a supervisor a store that fails stops the parent."""
    if engine.effectful is not None and is_store_failure(error):
        return StoreFailed(error)
    return io_failed(code, f"{what}{error.message}", category)


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
        raise _failed(engine, error, "child_run_engine_failed") from error

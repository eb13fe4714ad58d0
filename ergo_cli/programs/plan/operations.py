"""Pipelines of operations: plan them, launch them, rebuild their plans from a manifest (spec 50 §18)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

from msgspec import Struct

from ergo_cli.core import wire
from ergo_cli.core.json import NotCanonicalError
from ergo_cli.core.wire import FreeValue, WireError
from ergo_cli.programs.plan.canonical import SecretsNotAllowed, canonical_json, refusal
from ergo_cli.programs.plan.context import Context
from ergo_cli.programs.plan.engine import Engine, Phase, RunResult, StartRun
from ergo_cli.programs.plan.errors import (
    Corruption,
    PlanError,
    RunError,
    Storage,
    invalid_input,
    json_form,
    storage_info,
)
from ergo_cli.programs.plan.events import StateFailed
from ergo_cli.programs.plan.facts import FactIo
from ergo_cli.programs.plan.ids import IdError, RunId, is_segment, op_id
from ergo_cli.programs.plan.manifest import NO_BUILD, Build, RunConfig, RunManifest, run_config
from ergo_cli.programs.plan.recorder import Recorder
from ergo_cli.programs.plan.states import Edge, ExecutionPlan, HandlerResult, SideEffects, State, order_of


class Ports(Struct, frozen=True):
    """The context keys that an operation reads from earlier steps, and those that it offers to later ones."""

    imports: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()


class StateGraph(Struct, frozen=True):
    """The states of one step and the edges between them, with whole ids."""

    states: tuple[State, ...]
    edges: tuple[Edge, ...] = ()


class Operation(Protocol):
    """A reusable part of pipelines; deterministic, without IO."""

    @property
    def op_id(self) -> str:
        """Its id, a segment."""
        ...

    @property
    def op_version(self) -> str:
        """Its version."""
        ...

    def ports(self, op_config: FreeValue) -> Ports:
        """Its ports under a configuration. Raises RunError."""
        ...

    def expand(self, op_path: str, op_config: FreeValue, config: RunConfig) -> StateGraph:
        """Its states as a step ``<machine>.<step>`` of a pipeline. Raises RunError."""
        ...


class PipelineStep(Struct, frozen=True):
    """One operation in its place."""

    step_id: str
    op_id: str
    op_version: str
    op_config: FreeValue


class Pipeline(Struct, frozen=True):
    """Operations that run one after the other."""

    machine_id: str
    pipeline_version: str
    steps: tuple[PipelineStep, ...]


class PipelineInput(Struct, frozen=True):
    """The ``input_params`` of a pipeline's manifest."""

    pipeline: Pipeline
    input: FreeValue


class Registry:
    """The operations that a resolver knows, by id and version."""

    def __init__(self, *operations: Operation) -> None:
        self._operations: dict[tuple[str, str], Operation] = {}
        for operation in operations:
            self.register(operation)

    def register(self, operation: Operation) -> None:
        """Add an operation, or replace the one of its id and version."""
        self._operations[operation.op_id, operation.op_version] = operation

    def find(self, step: PipelineStep) -> Operation:
        """The operation of a step. Raises RunError ``plan.op_not_found``."""
        operation = self._operations.get((step.op_id, step.op_version))
        if operation is None:
            raise invalid_input("op_not_found", f"there is no operation '{step.op_id}' of version '{step.op_version}'")
        return operation


def plan_pipeline(pipeline: Pipeline, registry: Registry, config: RunConfig) -> ExecutionPlan:
    """The plan of a pipeline: its steps in sequence, each with a part of the context of its own.

    Raises RunError: every fault of spec 50 §18.2, in its order; errors of an operation pass through.
    """
    if not is_segment(pipeline.machine_id):
        raise invalid_input("invalid_machine_id", f"invalid machine_id: {pipeline.machine_id}")
    if not pipeline.steps:
        raise invalid_input("empty_pipeline", "the pipeline has no steps")
    _check_steps(pipeline.steps)
    states: list[State] = []
    edges: list[Edge] = []
    graphs: list[StateGraph] = []
    exporters: dict[str, str] = {}
    for step in pipeline.steps:
        path = f"{pipeline.machine_id}.{step.step_id}"
        operation = registry.find(step)
        ports = operation.ports(step.op_config)
        lost = next((key for key in ports.imports if key not in exporters), None)
        if lost is not None:
            raise invalid_input("unsatisfied_import", f"no step before '{step.step_id}' exports '{lost}'")
        imported = {key: exporters[key] for key in ports.imports}
        graph = operation.expand(path, step.op_config, config)
        _check_graph(path, graph, {state.id for state in states})
        states += [_namespaced(state, path, imported) for state in graph.states]
        edges += graph.edges
        graphs.append(graph)
        exporters |= dict.fromkeys(ports.exports, path)
    for before, after in pairwise(graphs):
        edges += [(sink, source) for sink in _sinks(before) for source in _sources(after)]
    plan = ExecutionPlan(pipeline.machine_id, tuple(states), tuple(edges))
    order_of(plan)
    return plan


class PipelineResolver(Struct, frozen=True):
    """Rebuilds the plan of a pipeline from a stored manifest."""

    registry: Registry

    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        """The plan. Raises RunError."""
        try:
            params: PipelineInput = wire.read(manifest.input_params, PipelineInput)
        except WireError as error:
            message = f"the manifest's parameters are not those of a pipeline: {error}"
            raise invalid_input("manifest_input_deserialize_failed", message) from error
        pipeline = params.pipeline
        if pipeline.machine_id != manifest.op_id:
            message = f"the pipeline is '{pipeline.machine_id}', the manifest of '{manifest.op_id}'"
            raise invalid_input("manifest_op_id_mismatch", message)
        if pipeline.pipeline_version != manifest.op_version:
            message = f"the pipeline has version '{pipeline.pipeline_version}', the manifest '{manifest.op_version}'"
            raise invalid_input("manifest_op_version_mismatch", message)
        return plan_pipeline(pipeline, self.registry, manifest.run_config)


def pipeline_manifest(
    pipeline: Pipeline, input: FreeValue, config: RunConfig, build: Build = NO_BUILD
) -> tuple[RunManifest, bytes]:
    """The manifest of a pipeline and its canonical text. Raises RunError."""
    params = json_form(PipelineInput(pipeline, input))
    manifest = RunManifest(pipeline.machine_id, pipeline.pipeline_version, params, config, build)
    try:
        return manifest, manifest.canonical()
    except SecretsNotAllowed as error:
        raise invalid_input("secrets_detected", f"the manifest is refused: {error}") from error
    except NotCanonicalError as error:
        raise invalid_input("manifest_not_canonical", f"the manifest is refused: {refusal(error)}") from error


def start_pipeline(
    engine: Engine,
    registry: Registry,
    pipeline: Pipeline,
    *,
    input: FreeValue = None,
    config: RunConfig | None = None,
    initial_context: Mapping[str, FreeValue] | None = None,
    build: Build = NO_BUILD,
    run_id: RunId | None = None,
) -> RunResult:
    """Plan a pipeline, store its manifest and run it. Raises RunError."""
    config = run_config() if config is None else config
    plan = plan_pipeline(pipeline, registry, config)
    manifest, text = pipeline_manifest(pipeline, input, config, build)
    try:
        manifest_id = engine.artifacts.put(text)
    except PlanError as error:
        if error.info.code == "artifact_put_id_mismatch":
            form = Storage(Corruption(storage_info("manifest_id_mismatch", error.message)))
            raise RunError(form, where=error.where) from error
        raise RunError.of(error) from error
    return engine.start(
        StartRun(
            manifest=manifest,
            manifest_id=manifest_id,
            plan=plan,
            run_config=config,
            initial_context=initial_context or {},
            run_id=run_id,
        )
    )


class ReportError(Exception):
    """An operation gave no report; ``code`` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def report_of(
    engine: Engine, registry: Registry, op: tuple[str, str], key: str, op_config: FreeValue = None
) -> FreeValue:
    """Run one operation on an empty context and return the value of ``key`` in its last snapshot.

    ``key`` is whole: ``report_op.main.report``. Raises ReportError with the code of the failure that ended the run,
    ``MissingFinalSnapshot``, or ``MissingReport``.
    """
    name, version = op
    try:
        op_id(name)
        pipeline = Pipeline(name, version, (PipelineStep("main", name, version, op_config),))
        result = start_pipeline(engine, registry, pipeline, input={})
        return _report(engine, result, key)
    except IdError as error:
        raise ReportError("invalid_op_id", str(error)) from error
    except PlanError as error:
        raise ReportError(error.info.code, error.message) from error


def _report(engine: Engine, result: RunResult, key: str) -> FreeValue:
    if result.phase is not Phase.COMPLETED:
        failures = [event.kernel for event in engine.streams.read(result.run_id)]
        last = next((event for event in reversed(failures) if isinstance(event, StateFailed)), None)
        if last is None:
            raise ReportError("RunFailed", "the run failed")
        raise ReportError(last.error.info.code, last.error.info.message)
    if result.final_snapshot_id is None:
        raise ReportError("MissingFinalSnapshot", "the run left no snapshot")
    values = engine.snapshot(result.final_snapshot_id)
    if key not in values:
        raise ReportError("MissingReport", f"the last snapshot has no value '{key}'")
    return values[key]


def _check_steps(steps: Sequence[PipelineStep]) -> None:
    seen: set[str] = set()
    for step in steps:
        if not is_segment(step.step_id):
            raise invalid_input("invalid_step_id", f"invalid step_id: {step.step_id}")
        if step.step_id in seen:
            raise invalid_input("duplicate_step_id", f"two steps have the id '{step.step_id}'")
        seen.add(step.step_id)
        try:
            canonical_json(step.op_config)
        except SecretsNotAllowed as error:
            message = f"the configuration of step '{step.step_id}' is refused: {error}"
            raise invalid_input("secrets_detected", message) from error
        except NotCanonicalError as error:
            message = f"the configuration of step '{step.step_id}' is refused: {refusal(error)}"
            raise invalid_input("op_config_not_canonical", message) from error


def _check_graph(path: str, graph: StateGraph, before: set[str]) -> None:
    """Refuse the states of a step that are not its own, lack a key, or repeat; then edges that leave the step."""
    if not graph.states:
        raise invalid_input("empty_state_graph", f"the step '{path}' has no states")
    own: set[str] = set()
    for state in graph.states:
        machine, _, local = state.id.rpartition(".")
        if state.id.count(".") != 2 or machine != path:
            raise invalid_input("invalid_state_id", f"the state '{state.id}' does not lie in the step '{path}'")
        if not is_segment(local):
            raise invalid_input("invalid_state_local_id", f"invalid local part of the state '{state.id}'")
        if state.meta.side_effects is SideEffects.APPLY_SIDE_EFFECT and not state.meta.idempotency:
            message = f"the state '{state.id}' applies a side effect and has no idempotency key"
            raise invalid_input("missing_idempotency_key", message)
        if state.id in own or state.id in before:
            raise invalid_input("duplicate_state_id", f"two states have the id '{state.id}'")
        own.add(state.id)
    for edge in graph.edges:
        lost = next((end for end in edge if end not in own), None)
        if lost is not None:
            raise invalid_input("missing_state_for_edge", f"an edge of the step '{path}' names the state '{lost}'")


def _sinks(graph: StateGraph) -> list[str]:
    return [state.id for state in graph.states if all(before != state.id for before, _ in graph.edges)]


def _sources(graph: StateGraph) -> list[str]:
    return [state.id for state in graph.states if all(after != state.id for _, after in graph.edges)]


class StepContext:
    """The context as the states of one step see it: keys of its own, and those that it imports (spec 50 §18.3)."""

    def __init__(self, whole: Context, path: str, imported: Mapping[str, str]) -> None:
        self._whole = whole
        self._prefix = f"{path}."
        self._imported = imported

    def __contains__(self, key: str) -> bool:
        return self._read_from(key) in self._whole

    def read(self, key: str, default: FreeValue = None) -> FreeValue:
        """The value of an imported key, else of a key of the step; ``default`` if there is none."""
        return self._whole.read(self._read_from(key), default)

    def read_typed(self, key: str, kind: Any) -> Any:
        """As ``Context.read_typed``."""
        return self._whole.read_typed(self._read_from(key), kind)

    def write(self, key: str, value: FreeValue) -> None:
        """Set the value of a key of the step."""
        self._whole.write(self._prefix + key, value)

    def delete(self, key: str) -> None:
        """Remove a value of the step."""
        self._whole.delete(self._prefix + key)

    def dump(self) -> dict[str, FreeValue]:
        """The values of the step, without those that it imports."""
        whole = self._whole.dump()
        return {key.removeprefix(self._prefix): whole[key] for key in whole if key.startswith(self._prefix)}

    def _read_from(self, key: str) -> str:
        exporter = self._imported.get(key)
        return self._prefix + key if exporter is None else f"{exporter}.{key}"


def _namespaced(state: State, path: str, imported: Mapping[str, str]) -> State:
    """``state`` with a handler that sees the part of the context that belongs to its step."""
    inner = state.handle

    def handle(context: Context, io: FactIo, recorder: Recorder) -> HandlerResult:
        return inner(StepContext(context, path, imported), io, recorder)

    return State(state.id, handle, state.meta)

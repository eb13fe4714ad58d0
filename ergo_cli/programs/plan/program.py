"""Plan programs as users write them (spec 00 §13.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, Self, cast

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.json import free_text
from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.functions import code_place
from ergo_cli.programs.plan.children import ChildRuns
from ergo_cli.programs.plan.context import copied
from ergo_cli.programs.plan.engine import Engine, PlanResolver
from ergo_cli.programs.plan.errors import ErrorCategory, ErrorInfo, Other, RunError, invalid_plan
from ergo_cli.programs.plan.facts import Transport
from ergo_cli.programs.plan.manifest import NO_BUILD, Build, RunConfig, RunManifest, run_config
from ergo_cli.programs.plan.operations import Pipeline, PipelineResolver, Registry, pipeline_manifest
from ergo_cli.programs.plan.states import Edge, ExecutionPlan, State
from ergo_cli.programs.plan.transports import Router, TransportEnv, TransportFactory


class PlanProgram(Struct, frozen=True):
    """A resumable plan of states; its class identifies the kind of program.

    ``initial_context(payload)`` makes the first context of a run from an event's payload, by default the payload
    itself. ``transports`` answer the calls of handlers, by group of namespaces: callables, or ``"module:attribute"``
    texts, which only live runs import. Calls to a namespace in ``effectful`` are never made: they are queued as intents
    and leave when the run completes. ``resolver`` makes the plans of child runs; without it there are none.
    ``allowed_names`` are texts that look like secrets and are none. ``parallel``: ready states run at once, as many as
    the execution mode ``FanOutJoin`` of ``run_config`` says.
    """

    op_id: str
    op_version: str
    states: tuple[State, ...]
    edges: tuple[Edge, ...] = ()
    initial_context: Callable[[Any], Mapping[str, Any]] | None = None
    run_config: RunConfig = run_config()
    transports: Mapping[str, Transport | str] = {}
    effectful: tuple[str, ...] = ()
    children: tuple[PlanProgram, ...] = ()
    input_params: Any = {}
    build: Build = NO_BUILD
    resolver: PlanResolver | None = None
    allowed_names: Set[str] = frozenset()
    parallel: bool = False

    @classmethod
    def of_pipeline(cls, pipeline: Pipeline, registry: Registry, **settings: Any) -> PlanProgram:
        """The program of a pipeline of operations; ``settings`` are the other fields. Raises RunError."""
        config: RunConfig = settings.setdefault("run_config", run_config())
        resolver = PipelineResolver(registry)
        manifest, _ = pipeline_manifest(pipeline, None, config, settings.get("build", NO_BUILD))
        plan = resolver.resolve(manifest)
        named = {"input_params": manifest.input_params, "resolver": resolver}
        return cls(manifest.op_id, manifest.op_version, plan.states, plan.edges, **named, **settings)

    @property
    def graph_id(self) -> str:
        """The name that bundles record."""
        return f"{self.op_id}@{self.op_version}"

    @property
    def version(self) -> str:
        """The version that enters the fingerprint."""
        return self.op_version

    @property
    def plan(self) -> ExecutionPlan:
        """The states and their order."""
        return ExecutionPlan(self.op_id, self.states, self.edges)

    @property
    def manifest(self) -> RunManifest:
        """The manifest of every run: it does not depend on the event."""
        return RunManifest(self.op_id, self.op_version, self.input_params, self.run_config, self.build)

    def allowing(self, names: Iterable[str]) -> Self:
        """The program with more ``allowed_names``, and its children with them."""
        children = tuple(child.allowing(names) for child in self.children)
        return replace(self, allowed_names=frozenset(self.allowed_names).union(names), children=children)

    def first_context(self, payload: FreeValue) -> dict[str, FreeValue]:
        """The first context of a run; floats become their canonical text (spec 00 §13.2).

        Raises RunError ``plan.initial_context_invalid`` for anything but an object, ``plan.initial_context_failed``
        where ``initial_context`` raises.
        """
        made = self._made_context(payload)
        if not isinstance(made, Mapping):
            message = f"the initial context is not an object but {type(made).__name__}"
            raise invalid_plan("initial_context_invalid", message, where=place_of(self))
        return cast("dict[str, FreeValue]", with_decimal_texts(dict(cast("Mapping[str, object]", made))))

    def _made_context(self, payload: FreeValue) -> object:
        if self.initial_context is None:
            return {} if payload is None else payload
        try:
            return self.initial_context(payload)
        except (Exception, SystemExit) as error:
            message = f"initial_context raised {type(error).__name__}"  # its text may hold secrets
            info = ErrorInfo("initial_context_failed", ErrorCategory.UNKNOWN, False, message)
            raise RunError(Other(info), where=place_of(self)) from error

    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        """The plan of the program's own manifest, or that of a child. Raises RunError ``plan.op_not_found``."""
        if manifest == self.manifest:
            return self.plan
        for child in self.children:
            if (child.op_id, child.op_version) == (manifest.op_id, manifest.op_version):
                return child.plan
        if self.resolver is not None:
            return self.resolver.resolve(manifest)
        if (self.op_id, self.op_version) == (manifest.op_id, manifest.op_version):
            return self.plan  # the rest of its manifest has changed since
        message = f"the program has no child '{manifest.op_id}' of version '{manifest.op_version}'"
        raise invalid_plan("op_not_found", message, where=place_of(self))

    def router(
        self, engine: Callable[[TransportFactory], Engine], wrap: Callable[[Transport], Transport]
    ) -> TransportFactory:
        """The transports of a live program, each wrapped, and those of child runs, whose engine ``engine`` makes."""
        router = Router({group: _Made(wrap(cast(Transport, found))) for group, found in self.transports.items()})
        return ChildRuns(router, engine)


def place_of(program: PlanProgram, function: object = None) -> str:
    """Where a fault of a program is: the file and line of a function of it, where they are known, else its name."""
    return (None if function is None else code_place(function)) or f"plan '{program.graph_id}'"


def decimal_text(value: float) -> str:
    """The canonical text of a number, for a context, which holds no floats: ``2.0`` gives ``"2.0"``."""
    return free_text(value).decode()


def with_decimal_texts(value: object) -> FreeValue:
    """A copy of plain JSON with the text of every float at its place."""
    if isinstance(value, dict):
        return {name: with_decimal_texts(member) for name, member in cast("dict[str, object]", value).items()}
    if isinstance(value, list | tuple):
        return [with_decimal_texts(item) for item in cast("list[object]", value)]
    return decimal_text(value) if isinstance(value, float) else copied(value)


class _Made(Struct, frozen=True):
    """The factory of a transport that is the same for every attempt."""

    transport: Transport

    def make(self, env: TransportEnv) -> Transport:
        """The transport."""
        return self.transport

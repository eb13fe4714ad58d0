"""Graph programs under the host: their effects are realised, and replayed from today's graph (spec 30 §9–11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ergo_cli.bundle.schema import ProgramRecord
from ergo_cli.bundle.sink import BundleSink, StepSink
from ergo_cli.core.digest_set import DigestSet
from ergo_cli.core.notices import Notice
from ergo_cli.core.program_source import ProgramSource
from ergo_cli.events.adapter import Adapter
from ergo_cli.host.egress.config import EgressConfig
from ergo_cli.host.hosting import Engaged
from ergo_cli.host.lane import RunLane
from ergo_cli.host.preparation import PreparedRun, prepare_run
from ergo_cli.host.realisation import HostEffects
from ergo_cli.host.runner import HostedRunner
from ergo_cli.programs.graph.invoker import GraphInvoker
from ergo_cli.programs.graph.program import GraphProgram

if TYPE_CHECKING:
    from ergo_cli.host.running import World


class GraphHosting(Struct, frozen=True):
    """How the host runs graph programs."""

    program: GraphProgram

    @property
    def is_stateful(self) -> bool:
        """A graph computes; the host alone acts."""
        return False

    def check(self, adapter: Adapter | None, egress: EgressConfig | None) -> tuple[Notice, ...]:
        """Composition, the graph gate and ownership, as ``prepare_run``."""
        return prepare_run(self.program, adapter, egress)

    def live(self) -> GraphProgram:
        """The program itself: a graph needs nothing more."""
        return self.program

    def record(self, sources: tuple[ProgramSource, ...], *, embed: bool) -> ProgramRecord | None:
        """The program with its texts where they are to be embedded; else the bundle is v3."""
        return ProgramRecord("graph", self.program.ref, sources) if embed else None

    def engage(self, run: PreparedRun, sink: BundleSink, world: World) -> Engaged:
        """A runner that realises effects: writes in the context store, intents through the world's dispatcher."""
        invoker = GraphInvoker(self.program)
        effects = HostEffects(run.adapter, dispatcher=world.dispatcher)
        if isinstance(sink, StepSink) and world.vouched and world.dispatcher is None and world.on_intent is None:
            lane = RunLane(run, invoker, effects, sink)
            return Engaged(lane, lambda interrupted: None, None if world.lasting else lane)
        runner = HostedRunner(
            self.program.graph_id,
            run.constraints,
            invoker,
            run.adapter,
            effects,
            sink,
            numbers=run.numbers,
            seen=None if world.vouched else DigestSet(),
            on_intent=world.on_intent,
        )
        return Engaged(runner, lambda interrupted: None)

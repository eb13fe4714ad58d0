"""Make a flow of a program: ids, topology, journals, stages (spec 60 §12.1, §23.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from ergo_cli.core.wire import Timestamp
from ergo_cli.programs.pipeline.authoring import AuthoredStage, Join, Sink, Source, Stateful, Transform
from ergo_cli.programs.pipeline.chain_events import read_chain_event
from ergo_cli.programs.pipeline.effects import Acted, EffectHistory, EffectsOfFlow, NoHistory
from ergo_cli.programs.pipeline.flow import OPEN_GATE, Flow, FlowClock, OutputGate
from ergo_cli.programs.pipeline.handlers import call_to_end
from ergo_cli.programs.pipeline.ids import FlowId, IdSource, JournalId, StageId, SystemId
from ergo_cli.programs.pipeline.journal import Journal
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.records import EventReader, EventT
from ergo_cli.programs.pipeline.stages.join import JoinSupervisor
from ergo_cli.programs.pipeline.stages.sink import SinkSupervisor
from ergo_cli.programs.pipeline.stages.source import SourceSupervisor
from ergo_cli.programs.pipeline.stages.stateful import StatefulSupervisor
from ergo_cli.programs.pipeline.stages.supervisor import StageSupervisor
from ergo_cli.programs.pipeline.stages.transform import TransformSupervisor
from ergo_cli.programs.pipeline.system_events import read_system_event
from ergo_cli.programs.pipeline.topology import Stage
from ergo_cli.programs.pipeline.topology_rules import validate
from ergo_cli.stores.journals import EventJournal

SYSTEM = "system"
"""The label of the system journal."""


def data_label(stage: str) -> str:
    """The label of a stage's data journal."""
    return f"data:{stage}"


def error_label(stage: str) -> str:
    """The label of a stage's error journal."""
    return f"error:{stage}"


def build_flow(
    program: PipelineProgram,
    store: EventJournal,
    ids: IdSource,
    clock: FlowClock,
    *,
    flow_id: FlowId | None = None,
    history: EffectHistory | None = None,
    execute: Callable[[Callable[[], object]], object] = lambda work: work(),
    acted: Callable[[Acted], object] = lambda _acted: None,
    consumed: Callable[[str, str, object], object] = lambda _sink, _event_type, _payload: None,
    call: Callable[..., Awaitable[object]] = call_to_end,
    gate: Callable[[StageId], OutputGate] = lambda _stage: OPEN_GATE,
    is_timed: bool = False,
    effect_recorded: Callable[[], object] = lambda: None,
) -> Flow:
    """A flow whose journals are runs of a store, ``<flow id>/<label>``; ``flow_id`` is by default the next of ``ids``.

    Raises TopologyError and JournalError.
    """
    flow_id = flow_id or ids.mint(FlowId)
    system_id = ids.mint(SystemId)
    topology = program.topology(ids)
    validate(topology)

    def journal(label: str, owner: StageId | SystemId, read_event: EventReader[EventT]) -> Journal[EventT]:
        return Journal(
            store,
            f"{flow_id.display}/{label}",
            journal_id=ids.mint(JournalId),
            owner=owner,
            read_event=read_event,
            now=lambda: Timestamp.of_millis(clock.wall_ms()),
        )

    system = journal(SYSTEM, system_id, read_system_event)
    pairs = {
        stage.id: (
            journal(data_label(stage.name), stage.id, read_chain_event),
            journal(error_label(stage.name), stage.id, read_chain_event),
        )
        for stage in topology.stages
    }
    return Flow(
        program=program,
        id=flow_id,
        system_id=system_id,
        topology=topology,
        ids=ids,
        clock=clock,
        system=system,
        data={stage: data for stage, (data, _) in pairs.items()},
        errors={stage: errors for stage, (_, errors) in pairs.items()},
        effects=EffectsOfFlow(flow_id.display, program.effect_types, history or NoHistory(), execute, acted),
        call=call,
        gate=gate,
        is_timed=is_timed,
        consumed=consumed,
        effect_recorded=effect_recorded,
    )


def build_stages(flow: Flow) -> Sequence[StageSupervisor]:
    """The supervisors of all stages, in topology order."""
    return [_supervisor(flow, stage, flow.program.stage_named[stage.name]) for stage in flow.topology.stages]


def _supervisor(flow: Flow, stage: Stage, authored: AuthoredStage) -> StageSupervisor:
    match authored:
        case Source():
            return SourceSupervisor(flow, stage, authored)
        case Transform():
            return TransformSupervisor(flow, stage, authored)
        case Stateful():
            return StatefulSupervisor(flow, stage, authored)
        case Join():
            return JoinSupervisor(flow, stage, authored)
        case Sink():
            return SinkSupervisor(flow, stage, authored)

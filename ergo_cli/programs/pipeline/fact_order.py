"""The order in which a flow and its stages say the facts of their lifecycle (spec 60 §9, §17.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ergo_cli.core.diagnostics import counted
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.system_events import (
    AllStagesCompleted,
    PipelineCancelled,
    PipelineCompleted,
    PipelineDrained,
    PipelineDraining,
    PipelineFact,
    PipelineFailed,
    PipelineLifecycle,
    PipelineReadyForRun,
    PipelineRunning,
    PipelineStarting,
    PipelineStopRequested,
    StageCancelled,
    StageCompleted,
    StageDrained,
    StageDraining,
    StageFact,
    StageFailed,
    StageLifecycle,
    StageRunning,
    SystemFact,
)

AnyFact = StageFact | PipelineFact

_RANKS: Mapping[type[AnyFact], int] = {
    StageRunning: 0,
    StageDraining: 1,
    StageDrained: 2,
    StageCompleted: 3,
    StageFailed: 4,
    StageCancelled: 4,
    PipelineReadyForRun: 0,
    PipelineStarting: 1,
    PipelineRunning: 2,
    PipelineDraining: 3,
    AllStagesCompleted: 4,
    PipelineCompleted: 5,
    PipelineFailed: 5,
    PipelineCancelled: 5,
    PipelineDrained: 6,
}
"""Each fact is said once, by a stage or by the flow, after those of a lower rank."""

_AFTER: Mapping[type[AnyFact], type[AnyFact]] = {
    StageDraining: StageRunning,
    StageDrained: StageRunning,
    StageCompleted: StageRunning,
    PipelineStarting: PipelineReadyForRun,
    PipelineRunning: PipelineStarting,
    PipelineDraining: PipelineRunning,
    AllStagesCompleted: PipelineRunning,
    PipelineCompleted: AllStagesCompleted,
}
"""What is said before a fact. A flow or a stage may fail, or be cancelled, before it says anything."""


class FactOrder:
    """Takes the facts of one flow in order."""

    def __init__(self, manifest: FlowManifest) -> None:
        self._names = {stage.stage_id: name for name, stage in manifest.stages.items()}
        self._said: dict[str, list[type[AnyFact]]] = {}

    def take(self, fact: SystemFact | None) -> str | None:
        """Take a fact; returns why it cannot be said next. A stop may be asked for at any time, and again."""
        match fact:
            case StageLifecycle(stage_id=stage, fact=said):
                name = self._names.get(stage.display)
                return (
                    f"the flow has no stage '{stage.display}'" if name is None else self._say(f"stage '{name}'", said)
                )
            case PipelineLifecycle(fact=PipelineStopRequested()):
                return None
            case PipelineLifecycle(fact=said):
                return self._miscounted(said) or self._say("flow", said)
            case _:
                return None

    def _say(self, who: str, fact: AnyFact) -> str | None:
        kind, said = type(fact), self._said.setdefault(who, [])
        if said and _RANKS[kind] <= _RANKS[said[-1]]:
            return f"the {who} says `{name_of(kind)}`, but has said `{name_of(said[-1])}` before it"
        before = _AFTER.get(kind)
        if before is not None and before not in said:
            return f"the {who} says `{name_of(kind)}`, but not `{name_of(before)}` before it"
        said.append(kind)
        return None

    def _miscounted(self, fact: PipelineFact) -> str | None:
        """Why a fact does not count the stages of the flow."""
        match fact:
            case PipelineReadyForRun(count) | PipelineRunning(count) if count != len(self._names):
                return f"the flow has {counted(len(self._names), 'stage')}, `{name_of(type(fact))}` counts {count}"
            case _:
                return None


def name_of(kind: type[AnyFact]) -> str:
    """How a fact is called in a record."""
    return cast("str", kind.__struct_config__.tag)

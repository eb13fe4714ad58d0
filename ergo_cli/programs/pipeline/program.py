"""Pipeline programs as users write them (spec 00 §13.2), their topology and their manifest (spec 60 §20.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.json import free_text
from ergo_cli.programs.pipeline.authoring import AuthoredStage, Join
from ergo_cli.programs.pipeline.effects import EffectType
from ergo_cli.programs.pipeline.ids import CountedIds, FlowId, IdSource, StageId, counted_id
from ergo_cli.programs.pipeline.run_manifest import VERSION
from ergo_cli.programs.pipeline.settings import PipelineSettings
from ergo_cli.programs.pipeline.topology import Edge, JoinInputs, Stage, Topology

EdgePair = tuple[str, str]
"""The names of a stage and of one that reads it."""


class PipelineProgram(Struct, frozen=True, dict=True):
    """A graph of stages; its class identifies the kind of program.

    ``edges`` are pairs of names, a stage and its reader. ``effects`` says what handlers may perform, by type of effect:
    an ``EffectType``, or its executor alone, a callable or ``"module:attribute"``, which only live runs import.
    """

    name: str
    stages: tuple[AuthoredStage, ...]
    edges: tuple[EdgePair, ...]
    settings: PipelineSettings = PipelineSettings()
    effects: Mapping[str, EffectType | Callable[..., Any] | str] = {}
    version: str = "0"

    @property
    def graph_id(self) -> str:
        """The name that bundles record as their graph id."""
        return self.name

    @cached_property
    def stage_named(self) -> Mapping[str, AuthoredStage]:
        """The stages by their names."""
        return {stage.name: stage for stage in self.stages}

    @cached_property
    def effect_types(self) -> Mapping[str, EffectType]:
        """What handlers may perform, each with its safety class."""
        return {
            name: found if isinstance(found, EffectType) else EffectType(found) for name, found in self.effects.items()
        }

    def topology(self, ids: IdSource) -> Topology:
        """Stages and edges under new ids. Edges of stages that do not exist keep an id of no stage."""
        minted = {stage.name: ids.mint(StageId) for stage in self.stages}

        def id_of(name: str) -> StageId:
            return minted.get(name) or StageId.digest_of(name)

        def inputs_of(stage: AuthoredStage) -> JoinInputs | None:
            return JoinInputs(id_of(stage.reference), id_of(stage.stream)) if isinstance(stage, Join) else None

        return Topology(
            tuple(Stage(minted[stage.name], stage.name, stage.type, inputs_of(stage)) for stage in self.stages),
            tuple(Edge(id_of(upstream), id_of(reader)) for upstream, reader in self.edges),
        )

    def live(self, load: Callable[[str], Callable[..., object]]) -> PipelineProgram:
        """The program with its executors, loaded where they are named by a text."""
        loaded = {
            name: replace(found, execute=load(found.execute)) if isinstance(found.execute, str) else found
            for name, found in self.effect_types.items()
        }
        return replace(self, effects=loaded)

    def flow_id(self, number: int = 0) -> FlowId:
        """The id of the flow of this number, from 0: a store may have several flows of a program."""
        return counted_id(FlowId, self.name, number)

    def manifest(self, flow_id: FlowId, topology: Topology | None = None) -> bytes:
        """The canonical JSON of what a flow of this program is made of: no time, no path, no file name.

        ``topology`` has the ids of its stages, by default those of a captured run.
        """
        topology = topology or self.topology(CountedIds(self.name))
        stages = {
            stage.name: {
                "inbound": sorted(map(topology.name_of, topology.upstream_stages(stage.id))),
                "ordered_delivery": self.stage_named[stage.name].ordered_delivery,
                "stage_id": stage.id.display,
                "stage_logic_version": self.stage_named[stage.name].logic_version,
                "stage_type": stage.type.value,
            }
            for stage in topology.stages
        }
        return free_text(
            {
                "edges": [{"from": upstream, "kind": "forward", "to": reader} for upstream, reader in self.edges],
                "effects": {name: found.recorded() for name, found in self.effect_types.items()},
                "flow_id": flow_id.display,
                "flow_name": self.name,
                "manifest_version": VERSION,
                "settings": self.settings.recorded(),
                "stages": stages,
            }
        )

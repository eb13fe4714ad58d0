"""The manifest of a flow in bundles, and which stages read in an order that every run repeats (spec 60 §20.1, §22)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from msgspec import Struct, field

from ergo_cli.core import wire
from ergo_cli.core.wire import FreeValue, WireError
from ergo_cli.programs.pipeline.run_manifest import VERSION
from ergo_cli.programs.pipeline.settings import RecordedSettings
from ergo_cli.programs.pipeline.topology import StageType


class FlowEdge(Struct, frozen=True):
    """An edge, by the names of its stages."""

    upstream: str = field(name="from")
    kind: str
    reader: str = field(name="to")


class FlowStage(Struct, frozen=True):
    """A stage: which ones it reads, and whether it reads them in an order that every run repeats."""

    inbound: tuple[str, ...]
    ordered_delivery: bool
    stage_id: str
    stage_logic_version: str
    stage_type: StageType


class FlowManifest(Struct, frozen=True, dict=True):
    """What a flow is made of; members, and stages by their names, ascending."""

    edges: tuple[FlowEdge, ...]
    effects: Mapping[str, FreeValue]
    flow_id: str
    flow_name: str
    manifest_version: str
    settings: RecordedSettings
    stages: Mapping[str, FlowStage]

    @classmethod
    def of(cls, text: bytes) -> FlowManifest:
        """The manifest that a text holds. Raises WireError for another version or form, and JsonError."""
        manifest: FlowManifest = wire.decode(text, cls)
        if manifest.manifest_version != VERSION:
            raise WireError(f"its version is '{manifest.manifest_version}', not '{VERSION}'")
        if wire.encode(manifest) != text:
            raise WireError("it is not in canonical form")
        unknown = next(
            (end for edge in manifest.edges for end in (edge.upstream, edge.reader) if end not in manifest.stages), None
        )
        if unknown is not None:
            raise WireError(f"an edge names the stage '{unknown}', which it does not have")
        return manifest

    @cached_property
    def upstream(self) -> Mapping[str, frozenset[str]]:
        """For every stage, itself and all stages that lead to it."""
        return {name: self._leading_to(name) for name in self.stages}

    @cached_property
    def order(self) -> Sequence[str]:
        """The stages, each behind those that lead to it."""
        return sorted(self.stages, key=lambda name: (len(self.upstream[name]), name))

    def is_ordered(self, name: str) -> bool:
        """Whether a stage reads in an order that every run repeats: by itself, and not its own outputs."""
        stage = self.stages[name]
        return stage.ordered_delivery and all(name not in self.upstream.get(each, ()) for each in stage.inbound)

    def differing(self, other: FlowManifest) -> Sequence[str]:
        """The names of the members that differ, whichever flow of their program the two are of."""
        names = [name for name in self.__struct_fields__ if name != "flow_id"]
        return [name for name in names if getattr(self, name) != getattr(other, name)]

    def _leading_to(self, name: str) -> frozenset[str]:
        found, ahead = set[str](), [name]
        while ahead:
            stage = ahead.pop()
            if stage not in found and stage in self.stages:
                found.add(stage)
                ahead += self.stages[stage].inbound
        return frozenset(found)


def blocking_stages(manifests: Iterable[FlowManifest]) -> Mapping[str, Sequence[str]]:
    """For every stage of any of several runs, what keeps its order from being certified, ascending (§22.3).

    A stage whose delivery is unordered in one of the runs, or that is on a cycle, blocks itself and all that it leads
    to; none: certified.
    """
    blocking: dict[str, set[str]] = {}
    for manifest in manifests:
        for name, upstream in manifest.upstream.items():
            unordered = {stage for stage in upstream if not manifest.is_ordered(stage)}
            blocking.setdefault(name, set()).update(unordered)
    return {name: sorted(found) for name, found in blocking.items()}

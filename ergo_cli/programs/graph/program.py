"""A graph program, ready to be run (spec 20 §1, 30 §10)."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from ergo_cli.events.composition import ActionNode, SourceNode
from ergo_cli.programs.graph.catalog import Inventory, standard_inventory
from ergo_cli.programs.graph.definition import ClusterDefinition, GraphAssets
from ergo_cli.programs.graph.effect_building import emitted_kinds
from ergo_cli.programs.graph.expanded import ExpandedGraph
from ergo_cli.programs.graph.expansion import expand
from ergo_cli.programs.graph.provenance import runtime_provenance
from ergo_cli.programs.graph.steps import native_parameters
from ergo_cli.programs.graph.validation import ValidatedGraph, validate


class GraphProgram(Struct, frozen=True):
    """A graph that keeps every rule: its sources, its flat form, its fingerprint and the primitives it runs on."""

    ref: str
    provenance: str
    expanded: ExpandedGraph
    validated: ValidatedGraph
    inventory: Inventory
    assets: GraphAssets

    @classmethod
    def load(cls, assets: GraphAssets, inventory: Inventory) -> GraphProgram:
        """Expand, validate and fingerprint. Raises RuleError, everything else that was found in its ``causes``."""
        expanded = expand(assets, inventory.catalog)
        validated = validate(expanded, inventory.catalog)
        provenance = runtime_provenance(expanded.graph_id, expanded, inventory.catalog)
        ref = f"{assets.root.id}@{assets.root.version}"
        return cls(ref, provenance, expanded, validated, inventory, assets)

    @property
    def graph_id(self) -> str:
        """The id of the root cluster."""
        return self.expanded.graph_id

    @property
    def version(self) -> str:
        """The version of the root cluster."""
        return self.assets.root.version

    @property
    def emittable_kinds(self) -> frozenset[str]:
        """The effect kinds that a pass can emit (spec 20 §11.4)."""
        return frozenset[str]().union(*(emitted_kinds(action.effects) for action in self.declared_actions()))

    @property
    def required_context_nodes(self) -> tuple[str, ...]:
        """Runtime ids, in expanded order, of the sources that require a context key (spec 30 §10)."""
        needy = {source.node_id for source in self.declared_sources() if any(need.required for need in source.needs)}
        return tuple(runtime_id for runtime_id in self.expanded.nodes if runtime_id in needy)

    @property
    def write_nodes(self) -> tuple[str, ...]:
        """Runtime ids, in expanded order, of the actions that declare writes or intents (spec 30 §10)."""
        writing = {
            action.node_id for action in self.declared_actions() if action.effects.writes or action.effects.intents
        }
        return tuple(runtime_id for runtime_id in self.expanded.nodes if runtime_id in writing)

    def declared_sources(self) -> Iterator[SourceNode]:
        """Every source with its context needs, by runtime id."""
        for runtime_id, node in sorted(self.expanded.nodes.items()):
            source = self.inventory.sources.get(node.impl_id)
            if source is not None:
                yield SourceNode(runtime_id, node.path, source.manifest.requires, native_parameters(node))

    def declared_actions(self) -> Iterator[ActionNode]:
        """Every action with its effect declarations, by runtime id."""
        for runtime_id, node in sorted(self.expanded.nodes.items()):
            action = self.inventory.actions.get(node.impl_id)
            if action is not None:
                yield ActionNode(runtime_id, node.path, action.manifest.effects, native_parameters(node))


SCHEDULE_ID = "ergo:schedule"
"""The graph id of the built-in program; no authored id can contain a colon."""


def _schedule() -> GraphProgram:
    inventory = standard_inventory()
    assets = GraphAssets(ClusterDefinition(SCHEDULE_ID, "", {}, ()), {})
    empty = ExpandedGraph(SCHEDULE_ID, {}, ())
    provenance = runtime_provenance(SCHEDULE_ID, empty, inventory.catalog)
    return GraphProgram(SCHEDULE_ID, provenance, empty, validate(empty, inventory.catalog), inventory, assets)


SCHEDULE = _schedule()
"""The program without nodes: every invocation completes, without effects (spec 00 §12.6)."""

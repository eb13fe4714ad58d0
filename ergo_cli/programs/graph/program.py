"""Graph programs: their source texts, the loaded program, and its invoker (spec 20 §1, §14, 00 §12.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.code_places import CodePlace
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.documents import ProgramSource, is_source_path
from ergo_cli.core.values import Effect, ProducedEffect
from ergo_cli.errors import ErgoError, RuleError, headline
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.adapter_manifest import Provides
from ergo_cli.events.composition import ActionNode, SourceNode, compose
from ergo_cli.events.external import Context
from ergo_cli.programs.graph.check.catalog import Catalog, Inventory, Metadata, standard_inventory
from ergo_cli.programs.graph.check.validation import ValidatedGraph, validate
from ergo_cli.programs.graph.expand.expansion import expand
from ergo_cli.programs.graph.files.cluster_file import Decoded, decode_graph_json, decode_graph_yaml
from ergo_cli.programs.graph.model import ClusterDefinition, ClusterKey, ExpandedGraph, ExpandedNode, GraphAssets
from ergo_cli.programs.graph.primitives.primitive import Family
from ergo_cli.programs.graph.run.compiler import GraphPass, graph_pass
from ergo_cli.programs.graph.run.interpreter import termination_of
from ergo_cli.programs.graph.run.provenance import runtime_provenance, used_primitives
from ergo_cli.programs.graph.run.steps import emitted_effect_kinds, native_parameters
from ergo_cli.programs.kinds import BUILT_IN_ID
from ergo_cli.programs.wiring import Wiring
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome, RunTermination

_ROOTS = ("graph.yaml", "graph.json")
_ADAPTERS = ("adapter.yaml", "adapter.json")


class AdapterText(Struct, frozen=True):
    """The text of an adapter and the name that its errors carry."""

    text: str
    label: str


class SourceTexts(Struct, frozen=True):
    """Sources decoded: what a program is loaded from."""

    assets: GraphAssets
    adapter: AdapterText | None
    notices: tuple[Notice, ...]


def sources_of(assets: GraphAssets, adapter: Adapter | None) -> tuple[ProgramSource, ...]:
    """The root, every other cluster that discovery recorded (ascending by path), the adapter."""
    texts = [ProgramSource.of(path, assets.texts[key]) for path, key in _names(assets).items()]
    bound = () if adapter is None else (ProgramSource.of(f"adapter.{_suffix(adapter.label)}", adapter.text),)
    return (*texts, *bound)


def files_of(assets: GraphAssets) -> dict[str, str]:
    """The file, or the label in memory, of each text that ``sources_of`` names, in its order."""
    return {path: assets.labels[key] for path, key in _names(assets).items()}


def _names(assets: GraphAssets) -> dict[str, ClusterKey]:
    root = assets.root.key
    others = {f"clusters/{key[0]}@{key[1]}.yaml": key for key in assets.clusters if key != root}
    return {f"graph.{_suffix(assets.labels[root])}": root, **dict(sorted(others.items()))}


def decode_sources(sources: tuple[ProgramSource, ...]) -> SourceTexts:
    """The graph assets and the adapter text that ``sources`` hold; clusters keyed by (id, version), nothing looked for.

    Raises DocumentError for a text that is not a cluster, ValueError (with a sentence that says why) where the names or
    digests are not what they must be.
    """
    _check(sources)
    decoded = {source.path: _decode(source) for source in sources if source.path not in _ADAPTERS}
    root = next(path for path in _ROOTS if path in decoded)
    adapters = [AdapterText(source.text, source.path) for source in sources if source.path in _ADAPTERS]
    return SourceTexts(
        assets=_assets(root, decoded, {source.path: source.text for source in sources}),
        adapter=adapters[0] if adapters else None,
        notices=tuple(notice for each in decoded.values() for notice in each.notices),
    )


def _assets(root: str, decoded: dict[str, Decoded], texts: dict[str, str]) -> GraphAssets:
    paths: dict[ClusterKey, str] = {each.definition.key: path for path, each in decoded.items()}
    if len(paths) < len(decoded):
        raise ValueError("two of the sources have the same cluster id and version")
    return GraphAssets(
        root=decoded[root].definition,
        clusters={key: decoded[path].definition for key, path in paths.items()},
        labels=paths,
        texts={key: texts[path] for key, path in paths.items()},
        places={key: decoded[path].places for key, path in paths.items()},
    )


def _decode(source: ProgramSource) -> Decoded:
    decode = decode_graph_json if source.path.endswith(".json") else decode_graph_yaml
    return decode(source.text, source.path)


def _check(sources: tuple[ProgramSource, ...]) -> None:
    paths = [source.path for source in sources]
    for allowed, at_least, noun in ((_ROOTS, 1, "graph"), (_ADAPTERS, 0, "adapter")):
        if not at_least <= sum(path in allowed for path in paths) <= 1:
            raise ValueError(f"there must be one {noun} text among {', '.join(paths) or 'no sources'}")
    if len(set(paths)) < len(paths):
        raise ValueError("a source name is there twice")
    for source in sources:
        if not is_source_path(source.path):
            raise ValueError(f"'{source.path}' is not a source name")
        if not source.is_intact:
            raise ValueError(f"the digest of '{source.path}' does not match its text")


def _suffix(label: str) -> str:
    return "json" if label.lower().endswith(".json") else "yaml"


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

    @classmethod
    def described(cls, assets: GraphAssets, contracts: Iterable[Metadata]) -> GraphProgram:
        """The program of primitives that are known by their contracts: it cannot run. Raises as ``load``."""
        return cls.load(assets, replace(standard_inventory(), catalog=Catalog(contracts)))

    def contracts(self) -> list[Metadata]:
        """What the fingerprint covers of the primitives in use: all but their code."""
        return used_primitives(self.expanded, self.inventory.catalog)

    def manifest_place(self, impl_id: str) -> CodePlace | None:
        """Where the manifest of an own primitive is written."""
        primitive = self.inventory.primitive(impl_id)
        return None if primitive is None or primitive.place is None else _code_place(primitive.place)

    def newer_provenance(self) -> str:
        """The fingerprint as originals with a newer serde_json write it."""
        return runtime_provenance(self.graph_id, self.expanded, self.inventory.catalog, newer=True)

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
        return frozenset[str]().union(*(emitted_effect_kinds(action.effects) for action in self.declared_actions()))

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

    def wiring(self) -> Wiring:
        """Which nodes depend on which, by their authoring paths."""
        nodes = (self.validated.nodes[node_id] for node_id in self.validated.order)
        return Wiring((each.node.path, (wire.producer.path for wire in each.inbound)) for each in nodes)

    def has_own_code(self) -> bool:
        """Whether a node runs code that the provenance does not cover: that of an own primitive."""
        return next(self._own_nodes(), None) is not None

    def own_code(self) -> dict[str, CodePlace]:
        """Where the function of each own primitive is written, by the authoring paths of the nodes that run it."""
        places = ((node.path, self.manifest_place(node.impl_id)) for node in self._own_nodes())
        return {path: place for path, place in places if place is not None}

    def own_names(self) -> dict[str, str]:
        """The id of each own primitive, by the authoring paths of the nodes that run it."""
        return {node.path: node.impl_id for node in self._own_nodes()}

    def _own_nodes(self) -> Iterator[ExpandedNode]:
        standard = standard_inventory()
        return (node for node in self.expanded.nodes.values() if standard.primitive(node.impl_id) is None)

    def declared_sources(self) -> Iterator[SourceNode]:
        """Every source with its context needs, by runtime id."""
        for runtime_id, node in sorted(self.expanded.nodes.items()):
            source = self.inventory.sources.get(node.impl_id)
            if source is not None:
                yield SourceNode(runtime_id, node.path, source.manifest.requires, native_parameters(node))

    def declares_all_effects(self) -> bool:
        """Whether the effects of every action are known: not those of an own one that only its contract describes."""
        actions = (each.id for each in self.contracts() if each.family is Family.ACTION)
        return all(action in self.inventory.actions for action in actions)

    def declared_actions(self) -> Iterator[ActionNode]:
        """Every action with its effect declarations, by runtime id."""
        for runtime_id, node in sorted(self.expanded.nodes.items()):
            action = self.inventory.actions.get(node.impl_id)
            if action is not None:
                yield ActionNode(runtime_id, node.path, action.manifest.effects, native_parameters(node))


def _code_place(place: str) -> CodePlace | None:
    """The place of a primitive: ``file:line`` of a function, ``file name`` of a value of its module."""
    file, _, line = place.rpartition(":")
    if line.isdecimal():
        return CodePlace(file, int(line), "")
    file, _, name = place.rpartition(" ")
    return CodePlace(file, 0, name) if file else None


def _schedule() -> GraphProgram:
    inventory = standard_inventory()
    assets = GraphAssets(ClusterDefinition(BUILT_IN_ID, "", {}, ()), {})
    empty = ExpandedGraph(BUILT_IN_ID, {}, ())
    provenance = runtime_provenance(BUILT_IN_ID, empty, inventory.catalog)
    return GraphProgram(BUILT_IN_ID, provenance, empty, validate(empty, inventory.catalog), inventory, assets)


SCHEDULE = _schedule()
"""The program without nodes: every invocation completes, without effects (spec 00 §12.6)."""


_COMPLETED = Outcome.COMPLETED  # bound locally: enum lookup is measurable here


class GraphInvoker:
    """Runs episodes of one graph program and keeps the effects of the last attempt until they are drained (HST-4).

    Given the error that kept a program from being made, or an adapter that does not fit, every run fails with
    ValidationFailed. ``last_error`` is what made the last run fail, if it did.
    """

    def __init__(self, program: GraphProgram | RuleError, provides: Provides | None = None) -> None:
        runnable = _runnable(program, provides)
        self._pass, self._unfit = (None, runnable) if isinstance(runnable, ErgoError) else (runnable, None)
        self._effects: list[ProducedEffect] = []
        self._run_calls = 0
        self.last_error: ErgoError | None = None

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """One pass over the event's context. Replaces the pending effects, by none unless it completes."""
        self._run_calls += 1
        self._effects = []
        self.last_error = None
        if deadline == 0:
            return Outcome.ABORTED
        if self._pass is None:
            self.last_error = self._unfit
            return Failed(ErrKind.VALIDATION_FAILED)
        try:
            self._effects = self._pass(context.values, graph_id, event_id)
        except RuleError as error:
            self.last_error = error
            return termination_of(error)
        return _COMPLETED

    @property
    def run_calls(self) -> int:
        """How many times ``run`` was called."""
        return self._run_calls

    @property
    def pending(self) -> int:
        """The number of effects not drained yet."""
        return len(self._effects)

    def drain_rendered(self) -> list[ProducedEffect]:
        """The effects of the last attempt, in program order; empties the buffer."""
        effects, self._effects = self._effects, []
        return effects

    def drain(self) -> list[Effect]:
        """The same as values."""
        return [produced.effect for produced in self.drain_rendered()]


def _runnable(program: GraphProgram | RuleError, provides: Provides | None) -> GraphPass | ErgoError:
    if isinstance(program, RuleError):
        return program
    if provides is not None:
        faults = compose(provides, program.declared_sources(), program.declared_actions())
        if faults:
            return headline(faults)
    return graph_pass(program.validated, program.inventory)

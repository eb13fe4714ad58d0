"""Loads a graph program and its adapter, and gives every fault on the way its code (spec 30 §10, 00 §12.9)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.nearest import did_you_mean
from ergo_cli.core.notices import Notice
from ergo_cli.core.program_source import ProgramSource
from ergo_cli.errors import DiscoveryError, ErgoError, PrimitiveError, ProgramError, reason
from ergo_cli.events.adapter import Adapter, load_adapter, setup_failed
from ergo_cli.programs.graph.candidates import version_candidates
from ergo_cli.programs.graph.catalog import Inventory, standard_inventory
from ergo_cli.programs.graph.definition import GraphAssets, ImplNode
from ergo_cli.programs.graph.expansion import expand
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.programs.graph.signature import disagreements, infer_signature
from ergo_cli.programs.graph.stand_ins import with_bound_parameters, with_stand_ins
from ergo_cli.project.graph_files import load_graph_assets
from ergo_cli.project.sources import decode_sources, sources_of
from ergo_cli.project.texts import read_text

_NO_SUCH_PRIMITIVE = ("V.8", "I.6")


class LoadedProgram(Struct, frozen=True):
    """A graph program ready to run; whether it fits its adapter is not checked here."""

    program: GraphProgram
    adapter: Adapter | None
    notices: tuple[Notice, ...]

    @property
    def sources(self) -> tuple[ProgramSource, ...]:
        """The texts to keep (spec 00 §12.6)."""
        return sources_of(self.program.assets, self.adapter)


class LoadedCluster(Struct, frozen=True):
    """A graph or cluster that breaks no rule; ``program`` may hold stand-ins for what the cluster asks for."""

    id: str
    program: GraphProgram
    notices: tuple[Notice, ...]


def load_program_from_files(
    graph_path: Path,
    cluster_paths: tuple[Path, ...] = (),
    adapter_path: Path | None = None,
    inventory: Inventory | None = None,
) -> LoadedProgram:
    """The graph at ``graph_path`` with the clusters that it names, and the adapter.

    ``inventory`` holds the primitives that the graph may use, by default the standard library. Raises ProgramError
    ``graph.load_failed`` (a text cannot be read, decoded or found), ``graph.prepare_failed`` (a rule of spec 20 §7–9
    is broken; ``rule`` names it; a PrimitiveError where nobody offers a primitive), AdapterError
    ``adapter.setup_failed``; in this order.
    """
    with _loading():
        loaded = load_graph_assets(graph_path, cluster_paths)
    program = prepare_program(loaded.assets, inventory)
    adapter = None if adapter_path is None else load_adapter_file(adapter_path)
    return LoadedProgram(program, adapter, loaded.notices + notices_of(adapter))


def load_cluster_from_files(
    path: Path, cluster_paths: tuple[Path, ...] = (), inventory: Inventory | None = None
) -> LoadedCluster:
    """The graph or cluster at ``path`` for a check: inputs and parameters that a root has are given stand-ins.

    Its notices tell where a declared signature is not what the graph is (spec 20 §8.3). Raises as
    ``load_program_from_files``.
    """
    with _loading():
        loaded = load_graph_assets(path, cluster_paths)
    program = prepare_program(with_stand_ins(loaded.assets), inventory)
    notices = loaded.notices + _signature_notices(loaded.assets, program.inventory)
    return LoadedCluster(loaded.assets.root.id, program, notices)


def load_program_from_sources(sources: tuple[ProgramSource, ...], inventory: Inventory | None = None) -> LoadedProgram:
    """The program that ``sources`` hold. Raises as ``load_program_from_files``, and ValueError for unfit sources."""
    with _loading():
        texts = decode_sources(sources)
    program = prepare_program(texts.assets, inventory)
    adapter = None if texts.adapter is None else load_adapter(texts.adapter.text, texts.adapter.label)
    return LoadedProgram(program, adapter, texts.notices + notices_of(adapter))


def prepare_program(assets: GraphAssets, inventory: Inventory | None = None) -> GraphProgram:
    """The program that a graph with its clusters makes. Raises ProgramError ``graph.prepare_failed``."""
    inventory = inventory or standard_inventory()
    try:
        return GraphProgram.load(assets, inventory)
    except ErgoError as error:
        missing = _missing(assets, inventory, error)
        raise (_not_offered(missing, inventory, error) if missing else _prepare_failed(error, assets)) from error


def load_adapter_file(path: Path) -> Adapter:
    """The adapter at ``path``. Raises AdapterError ``adapter.setup_failed``."""
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        message = f"io error at '{path}': {reason(error)}"
        fault = DiscoveryError("LOAD-IO", message, where=str(path), fix="name an adapter manifest that can be read")
        raise setup_failed(str(path), [fault]) from error
    return load_adapter(text, str(path))


def notices_of(adapter: Adapter | None) -> tuple[Notice, ...]:
    """What loading the adapter had to say."""
    return () if adapter is None else tuple(adapter.notices)


def _missing(assets: GraphAssets, inventory: Inventory, error: ErgoError) -> list[str]:
    """The primitives that the graph names and nobody offers, where that is what ``error`` is about."""
    named = {
        node.impl_id
        for definition in (assets.root, *assets.clusters.values())
        for node in definition.nodes.values()
        if isinstance(node, ImplNode) and not inventory.catalog.available_versions(node.impl_id)
    }
    told = any(f"'{name}{end}" in error.message for name in named for end in "'@")
    return sorted(named) if told and error.rule in _NO_SUCH_PRIMITIVE else []


def _not_offered(missing: list[str], inventory: Inventory, error: ErgoError) -> PrimitiveError:
    """As ``_behind``, with advice on where own primitives are looked for."""
    names = ", ".join(f"'{name}'" for name in missing)
    fix = (
        f"offer {names} in a module that the key 'primitives' of ergo.toml names, "
        "and work in that project or name it with --project DIR"
    )
    meant = did_you_mean(missing[0], (entry.id for entry in inventory.catalog))
    error.fix = fix if meant is None else f"{meant} Else {fix}"
    return PrimitiveError(
        "graph.prepare_failed",
        error.message,
        where=error.where,
        fix=error.fix,
        rule=error.rule,
        causes=error.unfold(),
    )


def _prepare_failed(error: ErgoError, assets: GraphAssets) -> ProgramError:
    return _behind("graph.prepare_failed", error, error.rule, tuple(version_candidates(error, assets)))


def _signature_notices(assets: GraphAssets, inventory: Inventory) -> tuple[Notice, ...]:
    declared = assets.root.signature
    if declared is None:
        return ()
    try:
        graph = expand(replace(assets, root=with_bound_parameters(assets.root)), inventory.catalog)
    except ErgoError as error:
        raise _prepare_failed(error, assets) from error
    place = assets.places.get(assets.root.key, {}).get("signature", assets.labels.get(assets.root.key))
    return tuple(Notice(text, place) for text in disagreements(declared, infer_signature(graph, inventory.catalog)))


@contextmanager
def _loading() -> Generator[None]:
    try:
        yield
    except ErgoError as error:
        raise _behind("graph.load_failed", error, rule=None) from error


def _behind(code: str, cause: ErgoError, rule: str | None, details: tuple[str, ...] = ()) -> ProgramError:
    """The headline of ``cause``: its own words, place and advice under the code of the stage, all faults as causes."""
    causes = cause.unfold()
    return ProgramError(
        code, cause.message, where=cause.where, fix=cause.fix, rule=rule, details=details, causes=causes
    )

"""Loads a graph program and its adapter, and gives every fault on the way its code (spec 30 §10, 00 §12.9)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.notices import Notice
from ergo_cli.core.program_source import ProgramSource
from ergo_cli.errors import DiscoveryError, ErgoError, ProgramError, reason
from ergo_cli.events.adapter import Adapter, load_adapter, setup_failed
from ergo_cli.programs.graph.catalog import Inventory, standard_inventory
from ergo_cli.programs.graph.definition import GraphAssets
from ergo_cli.programs.graph.expansion import expand
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.programs.graph.signature import disagreements, infer_signature
from ergo_cli.programs.graph.stand_ins import with_bound_parameters, with_stand_ins
from ergo_cli.project.graph_files import load_graph_assets
from ergo_cli.project.sources import decode_sources, sources_of
from ergo_cli.project.texts import read_text


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
    graph_path: Path, cluster_paths: tuple[Path, ...] = (), adapter_path: Path | None = None
) -> LoadedProgram:
    """The graph at ``graph_path`` with the clusters that it names, and the adapter.

    Raises ProgramError ``graph.load_failed`` (a text cannot be read, decoded or found), ``graph.prepare_failed`` (a
    rule of spec 20 §7–9 is broken; ``rule`` names it), AdapterError ``adapter.setup_failed``; in this order.
    """
    with _loading():
        loaded = load_graph_assets(graph_path, cluster_paths)
    program = _prepare(loaded.assets)
    adapter = None if adapter_path is None else load_adapter_file(adapter_path)
    return LoadedProgram(program, adapter, loaded.notices + notices_of(adapter))


def load_cluster_from_files(path: Path, cluster_paths: tuple[Path, ...] = ()) -> LoadedCluster:
    """The graph or cluster at ``path`` for a check: inputs and parameters that a root has are given stand-ins.

    Its notices tell where a declared signature is not what the graph is (spec 20 §8.3). Raises as
    ``load_program_from_files``.
    """
    with _loading():
        loaded = load_graph_assets(path, cluster_paths)
    program = _prepare(with_stand_ins(loaded.assets))
    notices = loaded.notices + _signature_notices(loaded.assets, program.inventory)
    return LoadedCluster(loaded.assets.root.id, program, notices)


def load_program_from_sources(sources: tuple[ProgramSource, ...]) -> LoadedProgram:
    """The program that ``sources`` hold. Raises as ``load_program_from_files``, and ValueError for unfit sources."""
    with _loading():
        texts = decode_sources(sources)
    program = _prepare(texts.assets)
    adapter = None if texts.adapter is None else load_adapter(texts.adapter.text, texts.adapter.label)
    return LoadedProgram(program, adapter, texts.notices + notices_of(adapter))


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


def _prepare(assets: GraphAssets) -> GraphProgram:
    try:
        return GraphProgram.load(assets, standard_inventory())
    except ErgoError as error:
        raise _behind("graph.prepare_failed", error, rule=error.rule) from error


def _signature_notices(assets: GraphAssets, inventory: Inventory) -> tuple[Notice, ...]:
    declared = assets.root.signature
    if declared is None:
        return ()
    try:
        graph = expand(replace(assets, root=with_bound_parameters(assets.root)), inventory.catalog)
    except ErgoError as error:
        raise _behind("graph.prepare_failed", error, rule=error.rule) from error
    place = assets.places.get(assets.root.key, {}).get("signature", assets.labels.get(assets.root.key))
    return tuple(Notice(text, place) for text in disagreements(declared, infer_signature(graph, inventory.catalog)))


@contextmanager
def _loading() -> Generator[None]:
    try:
        yield
    except ErgoError as error:
        raise _behind("graph.load_failed", error, rule=None) from error


def _behind(code: str, cause: ErgoError, rule: str | None) -> ProgramError:
    """The headline of ``cause``: its own words, place and advice under the code of the stage, all faults as causes."""
    return ProgramError(code, cause.message, where=cause.where, fix=cause.fix, rule=rule, causes=cause.unfold())

"""Load graph programs from files and texts; each fault gets its code (spec 21 §7, §9, 30 §10)."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.diagnostics import Notice, did_you_mean
from ergo_cli.core.documents import ProgramSource
from ergo_cli.errors import DiscoveryError, DocumentError, ErgoError, PrimitiveError, ProgramError, reason
from ergo_cli.events.adapter import Adapter, load_adapter
from ergo_cli.programs.graph.check.catalog import Inventory, standard_inventory
from ergo_cli.programs.graph.expand.boundary import (
    disagreements,
    infer_signature,
    with_bound_parameters,
    with_stand_ins,
)
from ergo_cli.programs.graph.expand.expansion import expand
from ergo_cli.programs.graph.expand.instances import version_candidates
from ergo_cli.programs.graph.files.cluster_file import Decoded, decode_graph_json, decode_graph_yaml
from ergo_cli.programs.graph.files.discovery import Discovered, Located, Reference, discover
from ergo_cli.programs.graph.files.syntax import identifier_fault
from ergo_cli.programs.graph.kind import describe_graph, load_graph
from ergo_cli.programs.graph.model import ClusterDefinition, ClusterKey, GraphAssets, ImplNode
from ergo_cli.programs.graph.program import decode_sources, sources_of
from ergo_cli.programs.program import AnyProgram
from ergo_cli.project.authored import NoText, load_adapter_file, notices_of, read_text
from ergo_cli.project.project_file import IMPORT_REFUSED
from ergo_cli.project.trust import Gate


class GraphSources(Struct, frozen=True):
    """The files that a graph is made of: canonical paths, sorted, and their texts."""

    root: ClusterDefinition
    discovered_files: tuple[str, ...]
    source_map: Mapping[str, str]


def load_graph_assets(path: Path, search_paths: Iterable[Path] = (), gate: Gate | None = None) -> Discovered:
    """The graph in a file with its clusters; ``.json`` is read as JSON, everything else as YAML.

    ``gate`` is asked about each file of a cluster before it is opened. Raises DiscoveryError LOAD-IO (the root cannot
    be read), DIS-* (a cluster), DocumentError DEC-* (the root), and what ``gate`` raises.
    """
    root = _located(path)
    return discover(root, _FileLookup(tuple(search_paths), gate), _decoder_of(path))


def load_graph_sources(path: Path, search_paths: Iterable[Path] = ()) -> GraphSources:
    """The texts of a graph and its clusters, of unselected versions too. Raises as ``load_graph_assets``."""
    found = load_graph_assets(path, search_paths)
    return GraphSources(found.root, found.discovered_ids, found.source_map)


def parse_graph_file(path: Path) -> ClusterDefinition:
    """The definition in one file, without its clusters. Raises DiscoveryError LOAD-IO, DocumentError DEC-*."""
    return _decoder_of(path)(_read(path), str(path)).definition


def resolve_cluster_candidates(folder: Path, cluster_id: str, search_paths: Iterable[Path]) -> tuple[Path, ...]:
    """The existing files that may define a cluster for a file in ``folder``, in order (spec 21 §7.1).

    Raises DiscoveryError DIS-BAD-ID if ``cluster_id`` is not an identifier.
    """
    fault = identifier_fault(cluster_id)
    if fault is not None:
        fix = "use letters, digits, '-' and '_'"
        raise DiscoveryError("DIS-BAD-ID", f"invalid cluster_id '{cluster_id}': it {fault}", fix=fix)
    return tuple(path for path in _candidate_paths(folder, cluster_id, search_paths) if os.path.isfile(path))


class _FileLookup:
    """Looks clusters up by file name; an identity is a canonical path, a label the path as opened."""

    def __init__(self, search_paths: tuple[Path, ...], gate: Gate | None) -> None:
        self._search_paths = search_paths
        self._gate = gate

    def candidates(self, cluster_id: str, referrer: Located) -> Sequence[Located]:
        paths = resolve_cluster_candidates(Path(referrer.label).parent, cluster_id, self._search_paths)
        if self._gate is not None:
            for path in paths:
                self._gate(path)
        return [_located(path) for path in paths]

    def read(self, source: Located) -> str:
        return _read(Path(source.label))

    def not_found(self, reference: Reference) -> DiscoveryError:
        name = f"{reference.cluster_id}.yaml"
        paths = _candidate_paths(Path(reference.referrer.label).parent, reference.cluster_id, self._search_paths)
        message = (
            f"cluster {reference.text} was not found: looked for '{name}' at {', '.join(map(str, paths))}; "
            f"cluster resolution is filename-based; {reference.referred_by}"
        )
        fix = did_you_mean(reference.cluster_id, _stems_beside(paths)) or "add the file, or name its folder"
        return DiscoveryError("DIS-NOT-FOUND", message, where=reference.place, fix=fix)

    def id_mismatch(self, reference: Reference, opened: Located, actual_id: str) -> DiscoveryError:
        name = reference.cluster_id
        message = (
            f"opened '{opened.label}' for {reference.text}, but its graph id is '{actual_id}': filename must match the "
            f"decoded graph id field; change the id, or rename the file to '{name}.yaml' that has the id '{name}'; "
            f"{reference.referred_by}"
        )
        fix = f"change its id to '{name}', or name it '{actual_id}.yaml' and refer to '{actual_id}'"
        return DiscoveryError("DIS-ID-MISMATCH", message, where=reference.place, fix=fix)

    def duplicate(self, key: ClusterKey, first: Located, second: Located) -> DiscoveryError:
        files = f"'{first.identity}' and '{second.identity}'"
        message = f"cluster {key[0]}@{key[1]} is defined by multiple files: {files}"
        fix = "remove one of them or give it another version"
        return DiscoveryError("DIS-DUPLICATE", message, where=second.label, fix=fix)


def _candidate_paths(folder: Path, cluster_id: str, search_paths: Iterable[Path]) -> tuple[Path, ...]:
    name = f"{cluster_id}.yaml"
    paths = [folder / name, folder / "clusters" / name]
    for search_path in search_paths:
        paths.append(search_path / name)
        if search_path.name != "clusters":
            paths.append(search_path / "clusters" / name)
    return tuple(dict.fromkeys(paths))


def _stems_beside(paths: Iterable[Path]) -> list[str]:
    """The ids of the cluster files in the folders searched, for suggestions."""
    folders = dict.fromkeys(path.parent for path in paths)
    return sorted(
        {file.stem for folder in folders if os.path.isdir(folder) for file in folder.glob("*.yaml") if file.is_file()}
    )


def _located(path: Path) -> Located:
    return Located(os.path.realpath(path), str(path))


def _decoder_of(path: Path) -> Callable[[str, str], Decoded]:
    return decode_graph_json if path.suffix.lower() == ".json" else decode_graph_yaml


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as error:
        message = f"io error at '{path}': {reason(error)}"
        raise DiscoveryError("LOAD-IO", message, where=str(path), fix="name a file that can be read") from error
    except NoText as error:
        raise DocumentError("DEC-SYNTAX", f"parse graph '{path}': {error}", where=str(path), fix=error.fix) from error


_NO_SUCH_PRIMITIVE = ("V.8", "I.6")


class LoadedProgram(Struct, frozen=True):
    """A graph program ready to run; whether it fits its adapter is not checked here. ``files`` were read to load it."""

    program: AnyProgram
    adapter: Adapter | None
    notices: tuple[Notice, ...]
    files: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[ProgramSource, ...]:
        """The texts to keep (spec 00 §12.6)."""
        return sources_of(self.program.value.assets, self.adapter)


class LoadedCluster(Struct, frozen=True):
    """A valid graph or cluster; ``program`` may hold stand-ins for the cluster's inputs and parameters."""

    id: str
    program: AnyProgram
    notices: tuple[Notice, ...]


def load_program_from_files(
    graph_path: str | os.PathLike[str],
    cluster_paths: Iterable[str | os.PathLike[str]] = (),
    adapter_path: str | os.PathLike[str] | None = None,
    inventory: Inventory | None = None,
) -> LoadedProgram:
    """The graph at ``graph_path`` with the clusters that it names, and the adapter.

    ``inventory`` holds the primitives that the graph may use, by default the standard library. Raises ProgramError
    ``graph.load_failed`` (a text cannot be read, decoded or found), ``graph.prepare_failed`` (a rule of spec 20 §7–9
    is broken; ``rule`` names it; a PrimitiveError if a primitive is not offered), AdapterError
    ``adapter.setup_failed``; in this order.
    """
    adapter = None if adapter_path is None else Path(adapter_path)
    return load_gated_program(Path(graph_path), map(Path, cluster_paths), adapter, inventory, None)


def load_gated_program(
    graph_path: Path,
    cluster_paths: Iterable[Path],
    adapter_path: Path | None,
    inventory: Inventory | None,
    gate: Gate | None,
) -> LoadedProgram:
    """As ``load_program_from_files``; what ``gate`` raises for a file of a cluster is raised."""
    with _loading():
        loaded = load_graph_assets(graph_path, cluster_paths, gate)
    program = prepare_program(loaded.assets, inventory)
    adapter = None if adapter_path is None else load_adapter_file(adapter_path)
    files = loaded.discovered_ids if adapter_path is None else (*loaded.discovered_ids, str(adapter_path))
    return LoadedProgram(program, adapter, loaded.notices + notices_of(adapter), files)


def load_cluster_from_files(
    path: Path, cluster_paths: tuple[Path, ...] = (), inventory: Inventory | None = None, gate: Gate | None = None
) -> LoadedCluster:
    """The graph or cluster at ``path`` for a check: its inputs and parameters are bound to stand-ins.

    Its notices say where a declared signature differs from the graph (spec 20 §8.3). Raises as
    ``load_program_from_files``.
    """
    with _loading():
        loaded = load_graph_assets(path, cluster_paths, gate)
    program = prepare_program(with_stand_ins(loaded.assets), inventory)
    notices = loaded.notices + _signature_notices(loaded.assets, program.value.inventory)
    return LoadedCluster(loaded.assets.root.id, program, notices)


def load_program_from_sources(sources: tuple[ProgramSource, ...], inventory: Inventory | None = None) -> LoadedProgram:
    """The program that ``sources`` hold. Raises as ``load_program_from_files``, and ValueError for unfit sources."""
    with _loading():
        texts = decode_sources(sources)
    program = prepare_program(texts.assets, inventory)
    adapter = None if texts.adapter is None else load_adapter(texts.adapter.text, texts.adapter.label)
    return LoadedProgram(program, adapter, texts.notices + notices_of(adapter))


def describe_program(sources: tuple[ProgramSource, ...], contracts: bytes) -> AnyProgram:
    """The program that ``sources`` hold, of primitives of which only the contracts are known: it cannot run.

    Raises ErgoError and ValueError for sources or contracts that make no program.
    """
    return describe_graph(decode_sources(sources).assets, contracts)


def prepare_program(assets: GraphAssets, inventory: Inventory | None = None) -> AnyProgram:
    """The program of a graph with its clusters. Raises ProgramError ``graph.prepare_failed``."""
    inventory = inventory or standard_inventory()
    try:
        return load_graph(assets, inventory)
    except ErgoError as error:
        missing = _missing(assets, inventory, error)
        raise (_not_offered(missing, inventory, error) if missing else _prepare_failed(error, assets)) from error


def _missing(assets: GraphAssets, inventory: Inventory, error: ErgoError) -> list[str]:
    """The primitives that the graph names but the inventory lacks, if ``error`` is about one of them."""
    named = {
        node.impl_id
        for definition in (assets.root, *assets.clusters.values())
        for node in definition.nodes.values()
        if isinstance(node, ImplNode) and not inventory.catalog.available_versions(node.impl_id)
    }
    reported = any(f"'{name}{end}" in error.message for name in named for end in "'@")
    return sorted(named) if reported and error.rule in _NO_SUCH_PRIMITIVE else []


def _not_offered(missing: list[str], inventory: Inventory, error: ErgoError) -> PrimitiveError:
    """As ``_behind``, with advice on where own primitives are searched."""
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
        if error.code == IMPORT_REFUSED:
            raise
        raise _behind("graph.load_failed", error, rule=None) from error


def _behind(code: str, cause: ErgoError, rule: str | None, details: tuple[str, ...] = ()) -> ProgramError:
    """Wrap ``cause`` under the code of a stage: its message, place and fix, with all faults as causes."""
    causes = cause.unfold()
    return ProgramError(
        code, cause.message, where=cause.where, fix=cause.fix, rule=rule, details=details, causes=causes
    )

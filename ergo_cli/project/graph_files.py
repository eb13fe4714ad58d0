"""Finds and reads graph and cluster files (spec 21 §7, §9)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from ergo_cli.core.nearest import did_you_mean
from ergo_cli.errors import DiscoveryError, DocumentError, reason
from ergo_cli.programs.graph.decode import Decoded, decode_graph_json, decode_graph_yaml
from ergo_cli.programs.graph.decode_names import identifier_fault
from ergo_cli.programs.graph.definition import ClusterDefinition, ClusterKey
from ergo_cli.programs.graph.discovery import Discovered, Located, Reference, discover
from ergo_cli.project.texts import read_text


class GraphSources(Struct, frozen=True):
    """The files that a graph is made of: canonical paths, sorted, and their texts."""

    root: ClusterDefinition
    discovered_files: tuple[str, ...]
    source_map: Mapping[str, str]


def load_graph_assets(path: Path, search_paths: Iterable[Path] = ()) -> Discovered:
    """The graph in a file with its clusters; ``.json`` is read as JSON, everything else as YAML.

    Raises DiscoveryError LOAD-IO (the root cannot be read), DIS-* (a cluster), DocumentError DEC-* (the root).
    """
    root = _located(path)
    return discover(root, _FileLookup(tuple(search_paths)), _decoder_of(path))


def load_graph_sources(path: Path, search_paths: Iterable[Path] = ()) -> GraphSources:
    """The texts of a graph and its clusters, those of unfit versions too. Raises as ``load_graph_assets``."""
    found = load_graph_assets(path, search_paths)
    return GraphSources(found.root, found.discovered_ids, found.source_map)


def parse_graph_file(path: Path) -> ClusterDefinition:
    """The definition in one file, its clusters left alone. Raises DiscoveryError LOAD-IO, DocumentError DEC-*."""
    return _decoder_of(path)(_read(path), str(path)).definition


def resolve_cluster_candidates(folder: Path, cluster_id: str, search_paths: Iterable[Path]) -> tuple[Path, ...]:
    """The existing files that may define a cluster for a file in ``folder``, in order (spec 21 §7.1).

    Raises DiscoveryError DIS-BAD-ID for what is no identifier.
    """
    fault = identifier_fault(cluster_id)
    if fault is not None:
        fix = "use letters, digits, '-' and '_'"
        raise DiscoveryError("DIS-BAD-ID", f"invalid cluster_id '{cluster_id}': it {fault}", fix=fix)
    return tuple(path for path in _candidate_paths(folder, cluster_id, search_paths) if os.path.isfile(path))


class _FileLookup:
    """Looks clusters up by file name; an identity is a canonical path, a label the path as opened."""

    def __init__(self, search_paths: tuple[Path, ...]) -> None:
        self._search_paths = search_paths

    def candidates(self, cluster_id: str, referrer: Located) -> Sequence[Located]:
        folder = Path(referrer.label).parent
        return [_located(path) for path in resolve_cluster_candidates(folder, cluster_id, self._search_paths)]

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
    """The clusters that do lie where one was looked for."""
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
    except ValueError as error:
        fix = "write it in UTF-8, within 8 MiB"
        raise DocumentError("DEC-SYNTAX", f"parse graph '{path}': {error}", where=str(path), fix=fix) from error

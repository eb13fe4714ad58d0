"""Graphs whose sources are handed over as texts under logical paths (spec 21 §8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from ergo_cli.core.nearest import did_you_mean
from ergo_cli.errors import DiscoveryError, headline
from ergo_cli.programs.graph.definition import ClusterKey
from ergo_cli.programs.graph.discovery import Discovered, Located, Reference, discover


class InMemorySource(Struct, frozen=True):
    """A text: ``source_id`` is its logical path (``clusters/gate.yaml``), ``source_label`` its name for people."""

    source_id: str
    source_label: str
    content: str


def load_in_memory_graph_sources(
    root_id: str, sources: Iterable[InMemorySource], search_roots: Iterable[str] = ()
) -> Discovered:
    """The graph at ``root_id`` with its clusters; among several sources of one, the given order counts.

    Raises DiscoveryError: DIS-SOURCE for paths, ids or labels that may not be (all of them, reachable or not), else as
    ``discover``; DocumentError for a root that cannot be decoded.
    """
    by_id = _checked(root_id, tuple(sources), tuple(search_roots))
    lookup = _MemoryLookup(by_id, tuple(search_roots))
    return discover(Located(root_id, by_id[root_id].source_label), lookup)


def candidate_paths(folder: str, cluster_id: str, search_roots: Iterable[str]) -> tuple[str, ...]:
    """Where a cluster may lie, in order and without repetition (spec 21 §7.1); the topmost folder is empty."""
    name = f"{cluster_id}.yaml"
    paths = [_join(folder, name), _join(folder, "clusters", name)]
    for root in search_roots:
        paths.append(_join(root, name))
        if root.rpartition("/")[2] != "clusters":
            paths.append(_join(root, "clusters", name))
    return tuple(dict.fromkeys(paths))


class _MemoryLookup:
    """Looks sources up by their logical path; an identity is a source id."""

    def __init__(self, sources: dict[str, InMemorySource], search_roots: tuple[str, ...]) -> None:
        self._sources = sources
        self._search_roots = search_roots

    def candidates(self, cluster_id: str, referrer: Located) -> Sequence[Located]:
        paths = self._paths(cluster_id, referrer)
        return [Located(id_, source.source_label) for id_, source in self._sources.items() if id_ in paths]

    def read(self, source: Located) -> str:
        return self._sources[source.identity].content

    def not_found(self, reference: Reference) -> DiscoveryError:
        name = f"{reference.cluster_id}.yaml"
        paths = self._paths(reference.cluster_id, reference.referrer)
        message = (
            f"no source for cluster {reference.text}: looked for logical source paths ending in '{name}': "
            f"{', '.join(paths)}; source_id must end in '{name}'; {reference.referred_by}"
        )
        stems = [id_.rpartition("/")[2].removesuffix(".yaml") for id_ in self._sources]
        fix = did_you_mean(reference.cluster_id, stems) or f"add a source with the id '{paths[0]}'"
        return DiscoveryError("DIS-NOT-FOUND", message, where=reference.place, fix=fix)

    def id_mismatch(self, reference: Reference, opened: Located, actual_id: str) -> DiscoveryError:
        name = reference.cluster_id
        message = (
            f"opened in-memory source '{opened.label}' (source_id '{opened.identity}') for {reference.text}, but its "
            f"graph id is '{actual_id}': graph reference, source_id, and graph id must agree on '{name}'; "
            f"{reference.referred_by}"
        )
        fix = f"change the graph id to '{name}', or the reference and the source_id to '{actual_id}'"
        return DiscoveryError("DIS-ID-MISMATCH", message, where=reference.place, fix=fix)

    def duplicate(self, key: ClusterKey, first: Located, second: Located) -> DiscoveryError:
        both = " and ".join(f"'{source.label}' (source_id '{source.identity}')" for source in (first, second))
        message = f"cluster {key[0]}@{key[1]} is defined by multiple sources: {both}"
        fix = "remove one of them or give it another version"
        return DiscoveryError("DIS-DUPLICATE", message, where=second.label, fix=fix)

    def _paths(self, cluster_id: str, referrer: Located) -> tuple[str, ...]:
        return candidate_paths(referrer.identity.rpartition("/")[0], cluster_id, self._search_roots)


def _join(*segments: str) -> str:
    return "/".join(segment for segment in segments if segment)


def _checked(root_id: str, sources: tuple[InMemorySource, ...], roots: tuple[str, ...]) -> dict[str, InMemorySource]:
    """The sources by id. Raises DIS-SOURCE for the first fault, the others as causes."""
    faults = [*_faults(sources, roots)]
    by_id = {source.source_id: source for source in sources}
    if root_id not in by_id:
        faults.append(f"root in-memory source_id '{root_id}' was not provided")
    if faults:
        raise headline(DiscoveryError("DIS-SOURCE", fault, fix="mend the list of sources") for fault in faults)
    return by_id


def _faults(sources: tuple[InMemorySource, ...], roots: tuple[str, ...]) -> Iterator[str]:
    ids: set[str] = set()
    labels: set[str] = set()
    for source in sources:
        yield from _path_faults("source_id", source.source_id)
        if source.source_id in ids:
            yield f"duplicate in-memory source_id '{source.source_id}'"
        if not source.source_label:
            yield f"in-memory source_label must not be empty (source_id '{source.source_id}')"
        elif source.source_label in labels:
            yield f"duplicate in-memory source_label '{source.source_label}'"
        ids.add(source.source_id)
        labels.add(source.source_label)
    for root in roots:
        yield from _path_faults("search_root", root)


def _path_faults(what: str, path: str) -> Iterator[str]:
    """The first thing that keeps a path from being relative and logical."""
    segments = path.split("/")
    rules = (
        (not path, "must not be empty"),
        (path.startswith("/"), "must be a relative logical path"),
        ("\\" in path, "must use '/' separators"),
        (":" in path, "must not contain ':'"),
        ("" in segments, "must not contain empty path segments"),
        (not {".", ".."}.isdisjoint(segments), "must not contain '.' or '..' segments"),
    )
    for is_broken, rule in rules:
        if is_broken:
            yield f"in-memory {what} {rule}, got '{path}'"
            return

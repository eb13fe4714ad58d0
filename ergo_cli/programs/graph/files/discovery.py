"""Find every cluster that a graph refers to, through a lookup over files or in-memory texts (spec 21 §7–8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from ergo_cli.core.diagnostics import Notice, did_you_mean
from ergo_cli.core.semver import Requirement, Version, parse_selector
from ergo_cli.errors import DiscoveryError, DocumentError, headline
from ergo_cli.programs.graph.files.cluster_file import Decoded, decode_graph
from ergo_cli.programs.graph.model import ClusterDefinition, ClusterKey, ClusterNode, GraphAssets


class Located(Struct, frozen=True):
    """A source: ``identity`` is unique to it, ``label`` is its name for people, as it was reached."""

    identity: str
    label: str


class Reference(Struct, frozen=True):
    """A node that is an instance of a cluster; ``place`` is where it is written."""

    cluster_id: str
    selector: str
    node_id: str
    referrer: Located
    place: str

    @property
    def text(self) -> str:
        """The reference as authored: ``id@selector``."""
        return f"{self.cluster_id}@{self.selector}"

    @property
    def referred_by(self) -> str:
        """The referring node, as messages name it."""
        return f"referenced by node '{self.node_id}' in '{self.referrer.label}'"

    def selects(self, version: str) -> bool:
        """Whether the selector accepts a version."""
        wanted, found = parse_selector(self.selector), Version.parse(version)
        return wanted.matches(found) if isinstance(wanted, Requirement) else wanted == found


class Lookup(Protocol):
    """Finds and reads sources. Its errors use its own word for a source: a file, a logical path."""

    def candidates(self, cluster_id: str, referrer: Located) -> Sequence[Located]:
        """The sources that may define a cluster, in the order in which they are opened."""
        ...

    def read(self, source: Located) -> str:
        """The text of a source. Raises DiscoveryError LOAD-IO, or DocumentError for a source that is not text."""
        ...

    def not_found(self, reference: Reference) -> DiscoveryError:
        """The error of a reference without candidates (DIS-NOT-FOUND)."""
        ...

    def id_mismatch(self, reference: Reference, opened: Located, actual_id: str) -> DiscoveryError:
        """The error of a candidate that defines another cluster (DIS-ID-MISMATCH)."""
        ...

    def duplicate(self, key: ClusterKey, first: Located, second: Located) -> DiscoveryError:
        """The error of two sources that define one version of one cluster (DIS-DUPLICATE)."""
        ...


class Discovered(Struct, frozen=True):
    """A graph with all its clusters, and the sources that they were decoded from.

    ``source_map`` and ``source_labels`` go from a source's identity to its text and to its first-opened label;
    ``identities`` maps a cluster to the identity of the source that defines it.
    """

    assets: GraphAssets
    notices: tuple[Notice, ...]
    identities: Mapping[ClusterKey, str]
    source_map: Mapping[str, str]
    source_labels: Mapping[str, str]

    @property
    def root(self) -> ClusterDefinition:
        """The definition that discovery began with."""
        return self.assets.root

    @property
    def discovered_ids(self) -> tuple[str, ...]:
        """The identities of all sources, sorted."""
        return tuple(sorted(self.source_map))


def discover(root: Located, lookup: Lookup, decode_root: Callable[[str, str], Decoded] = decode_graph) -> Discovered:
    """The tree of clusters below a root, every source read and decoded once, candidates of unfit versions recorded.

    Raises what reading and decoding the root raises; then the first DiscoveryError met in ascending node order, depth
    first, with the further ones in its ``causes``.
    """
    return _Discovery(lookup).run(root, decode_root)


class _Opened(Struct, frozen=True):
    """A source that was read and decoded; ``located`` as it was first opened."""

    located: Located
    text: str
    decoded: Decoded

    @property
    def definition(self) -> ClusterDefinition:
        return self.decoded.definition


class _Discovery:
    """One walk over the tree, depth first; without recursion, since a chain of clusters may be of any length."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._opened: dict[str, _Opened] = {}
        self._broken: dict[str, DiscoveryError | DocumentError] = {}
        self._recorded: dict[ClusterKey, _Opened] = {}
        self._visiting: dict[str, _Opened] = {}
        self._visited: set[str] = set()
        self._errors: list[DiscoveryError] = []

    def run(self, root: Located, decode_root: Callable[[str, str], Decoded]) -> Discovered:
        opened = self._open(root, decode_root)
        self._recorded[opened.definition.key] = opened
        self._walk(opened)
        if self._errors:
            raise headline(self._errors)
        return self._discovered(opened)

    def _walk(self, root: _Opened) -> None:
        self._visiting[root.located.identity] = root
        pending = [(root, self._fitting_clusters(root))]
        while pending:
            visited, clusters = pending[-1]
            cluster = next(clusters, None)
            if cluster is not None:
                self._visiting[cluster.located.identity] = cluster
                pending.append((cluster, self._fitting_clusters(cluster)))
            else:
                pending.pop()
                del self._visiting[visited.located.identity]
                self._visited.add(visited.located.identity)

    def _fitting_clusters(self, opened: _Opened) -> Iterator[_Opened]:
        """The clusters that a definition's nodes select and that are not visited yet; an error ends its node only."""
        for node_id, node in sorted(opened.definition.nodes.items()):
            if isinstance(node, ClusterNode):
                place = opened.decoded.places[f"nodes.{node_id}"]
                reference = Reference(node.cluster_id, node.selector, node_id, opened.located, place)
                try:
                    yield from self._resolve(reference)
                except DiscoveryError as error:
                    self._errors.append(error)

    def _resolve(self, reference: Reference) -> Iterator[_Opened]:
        candidates = self._lookup.candidates(reference.cluster_id, reference.referrer)
        if not candidates:
            raise self._lookup.not_found(reference)
        for candidate in candidates:
            opened = self._open_candidate(candidate, reference)
            if not reference.selects(opened.definition.version):
                continue
            if opened.located.identity in self._visiting:
                raise self._cycle(opened, reference)
            if opened.located.identity not in self._visited:
                yield opened

    def _open_candidate(self, candidate: Located, reference: Reference) -> _Opened:
        try:
            opened = self._open(candidate, decode_graph)
        except (DiscoveryError, DocumentError) as error:
            raise _nested(candidate, reference, error) from error
        if opened.definition.id != reference.cluster_id:
            raise self._lookup.id_mismatch(reference, candidate, opened.definition.id)
        first = self._recorded.setdefault(opened.definition.key, opened)
        if first.located.identity != opened.located.identity:
            raise self._lookup.duplicate(opened.definition.key, first.located, opened.located)
        return opened

    def _open(self, located: Located, decode: Callable[[str, str], Decoded]) -> _Opened:
        """The source, read and decoded once; a failure is remembered as well."""
        identity = located.identity
        if identity in self._broken:
            raise self._broken[identity]
        if identity not in self._opened:
            try:
                text = self._lookup.read(located)
                self._opened[identity] = _Opened(located, text, decode(text, located.label))
            except (DiscoveryError, DocumentError) as error:
                self._broken[identity] = error
                raise
        return self._opened[identity]

    def _cycle(self, opened: _Opened, reference: Reference) -> DiscoveryError:
        labels = [visited.located.label for visited in self._visiting.values()]
        start = list(self._visiting).index(opened.located.identity)
        circle = " -> ".join(f"'{label}'" for label in [*labels[start:], opened.located.label])
        message = f"circular cluster reference: {circle} ({reference.text}, {reference.referred_by})"
        fix = "take one of the references out of the circle"
        return DiscoveryError("DIS-CYCLE", message, where=reference.place, fix=fix)

    def _discovered(self, root: _Opened) -> Discovered:
        recorded = self._recorded
        return Discovered(
            assets=GraphAssets(
                root=root.definition,
                clusters={key: opened.definition for key, opened in recorded.items()},
                labels={key: opened.located.label for key, opened in recorded.items()},
                texts={key: opened.text for key, opened in recorded.items()},
                places={key: opened.decoded.places for key, opened in recorded.items()},
            ),
            notices=tuple(notice for opened in self._opened.values() for notice in opened.decoded.notices),
            identities={key: opened.located.identity for key, opened in recorded.items()},
            source_map={identity: opened.text for identity, opened in self._opened.items()},
            source_labels={identity: opened.located.label for identity, opened in self._opened.items()},
        )


def _nested(candidate: Located, reference: Reference, error: DiscoveryError | DocumentError) -> DiscoveryError:
    message = f"'{candidate.label}' cannot be used for {reference.text}, {reference.referred_by}: {error.message}"
    return DiscoveryError("DIS-NESTED", message, where=error.where, fix=error.fix, causes=[error])


class InMemorySource(Struct, frozen=True):
    """A text: ``source_id`` is its logical path (``clusters/gate.yaml``), ``source_label`` its name for people."""

    source_id: str
    source_label: str
    content: str


def load_in_memory_graph_sources(
    root_id: str, sources: Iterable[InMemorySource], search_roots: Iterable[str] = ()
) -> Discovered:
    """The graph at ``root_id`` with its clusters; where several sources could define one, the given order decides.

    Raises DiscoveryError: DIS-SOURCE for invalid paths, ids or labels (all of them, reachable or not), else as
    ``discover``; DocumentError for a root that cannot be decoded.
    """
    by_id = _checked_sources(root_id, tuple(sources), tuple(search_roots))
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


def _checked_sources(
    root_id: str, sources: tuple[InMemorySource, ...], roots: tuple[str, ...]
) -> dict[str, InMemorySource]:
    """The sources by id. Raises DIS-SOURCE for the first fault, the others as causes."""
    faults = [*_source_faults(sources, roots)]
    by_id = {source.source_id: source for source in sources}
    if root_id not in by_id:
        faults.append(f"root in-memory source_id '{root_id}' was not provided")
    if faults:
        raise headline(DiscoveryError("DIS-SOURCE", fault, fix="mend the list of sources") for fault in faults)
    return by_id


def _source_faults(sources: tuple[InMemorySource, ...], roots: tuple[str, ...]) -> Iterator[str]:
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
    """The first rule for relative logical paths that ``path`` breaks."""
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

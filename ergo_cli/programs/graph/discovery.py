"""Finds every cluster that a graph is made of, through a lookup that knows where sources rest (spec 21 §7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from ergo_cli.core.notices import Notice
from ergo_cli.core.semver import Requirement, Version, parse_selector
from ergo_cli.errors import DiscoveryError, DocumentError, headline
from ergo_cli.programs.graph.decode import Decoded, decode_graph
from ergo_cli.programs.graph.definition import ClusterDefinition, ClusterKey, ClusterNode, GraphAssets


class Located(Struct, frozen=True):
    """A source: ``identity`` tells it from others, ``label`` is its name for people, as it was reached."""

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
        """Who refers, as every message of discovery says it."""
        return f"referenced by node '{self.node_id}' in '{self.referrer.label}'"

    def selects(self, version: str) -> bool:
        """Whether the selector accepts a version."""
        wanted, found = parse_selector(self.selector), Version.parse(version)
        return wanted.matches(found) if isinstance(wanted, Requirement) else wanted == found


class Lookup(Protocol):
    """Where sources rest. Its errors are worded for what its users call a source: a file, a logical path."""

    def candidates(self, cluster_id: str, referrer: Located) -> Sequence[Located]:
        """The sources that may define a cluster, in the order in which they are opened."""
        ...

    def read(self, source: Located) -> str:
        """The text of a source. Raises DiscoveryError LOAD-IO, or DocumentError for what is no text."""
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
    ``identities`` tell which source defines a cluster.
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
    """One walk over the tree: depth first, without recursion, so that a long chain of clusters does no harm."""

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
        """The source, read and decoded once, be it that this fails."""
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

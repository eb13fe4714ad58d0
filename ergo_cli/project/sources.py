"""The texts that a graph program is made of, as stores and v4 bundles keep them (spec 00 §12.6)."""

from __future__ import annotations

import re

from msgspec import Struct

from ergo_cli.core.notices import Notice
from ergo_cli.core.program_source import ProgramSource
from ergo_cli.events.adapter import Adapter
from ergo_cli.programs.graph.decode import Decoded, decode_graph_json, decode_graph_yaml
from ergo_cli.programs.graph.definition import ClusterKey, GraphAssets

_ROOTS = ("graph.yaml", "graph.json")
_ADAPTERS = ("adapter.yaml", "adapter.json")
_NAME = re.compile(r"(?:graph|adapter)\.(?:yaml|json)|clusters/[^/\\\x00-\x1f]+@[^/\\\x00-\x1f]+\.yaml")


class AdapterText(Struct, frozen=True):
    """The text of an adapter and the name that its errors carry."""

    text: str
    label: str


class SourceTexts(Struct, frozen=True):
    """Sources decoded: what a program is loaded from."""

    assets: GraphAssets
    adapter: AdapterText | None
    notices: tuple[Notice, ...]


def is_source_path(path: str) -> bool:
    """Whether ``path`` is a name that a source may have; such a name never leads out of a folder."""
    return _NAME.fullmatch(path) is not None


def sources_of(assets: GraphAssets, adapter: Adapter | None) -> tuple[ProgramSource, ...]:
    """The root, every other cluster that discovery recorded (ascending by path), the adapter."""
    root = ProgramSource.of(f"graph.{_suffix(assets.labels[assets.root.key])}", assets.texts[assets.root.key])
    others = {f"clusters/{key[0]}@{key[1]}.yaml": key for key in assets.clusters if key != assets.root.key}
    clusters = [ProgramSource.of(path, assets.texts[others[path]]) for path in sorted(others)]
    bound = () if adapter is None else (ProgramSource.of(f"adapter.{_suffix(adapter.label)}", adapter.text),)
    return (root, *clusters, *bound)


def decode_sources(sources: tuple[ProgramSource, ...]) -> SourceTexts:
    """The graph assets and the adapter text that ``sources`` hold; clusters keyed by (id, version), nothing looked for.

    Raises DocumentError for a text that is no cluster, ValueError (with a sentence that says why) where the names or
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

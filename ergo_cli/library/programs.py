"""Programs and adapters in all the forms in which a caller may hand them over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ergo_cli.core.canonical import NotCanonicalError, free_text
from ergo_cli.errors import DocumentError
from ergo_cli.events.adapter import Adapter, load_adapter, setup_failed
from ergo_cli.library.config import AdapterSource, GraphSource
from ergo_cli.programs.graph.catalog import Inventory
from ergo_cli.programs.graph.definition import GraphAssets
from ergo_cli.programs.graph.memory import InMemorySource, load_in_memory_graph_sources
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.project.finding import FoundProgram
from ergo_cli.project.loading import (
    LoadedProgram,
    load_adapter_file,
    load_program_from_files,
    notices_of,
    prepare_program,
)
from ergo_cli.project.sources import AdapterText

_MANIFEST = "<adapter>"


def load_graph_assets_from_memory(
    root_id: str, sources: Iterable[InMemorySource], search_roots: Iterable[str] = ()
) -> GraphAssets:
    """The graph whose text has the id ``root_id``, with its clusters (spec 21 §8), ready to be run.

    Raises DiscoveryError and DocumentError as ``load_in_memory_graph_sources``.
    """
    return load_in_memory_graph_sources(root_id, sources, search_roots).assets


def load_given_program(
    graph: GraphSource, cluster_paths: Sequence[str | Path], adapter: AdapterSource | None, inventory: Inventory
) -> FoundProgram[GraphProgram]:
    """The program that a caller names. Raises as ``load_program_from_files``."""
    if isinstance(graph, GraphAssets):
        program, notices = prepare_program(graph, inventory), ()
    else:
        loaded = load_program_from_files(Path(graph), tuple(map(Path, cluster_paths)), None, inventory)
        program, notices = loaded.program, loaded.notices
    bound = None if adapter is None else _adapter(adapter)
    complete = LoadedProgram(program, bound, notices + notices_of(bound))
    return FoundProgram("the caller", program, bound, complete.sources, None, None, complete.notices)


def _adapter(source: AdapterSource) -> Adapter:
    match source:
        case AdapterText(text, label):
            return load_adapter(text, label)
        case Mapping():
            return load_adapter(_manifest_text(source), _MANIFEST)
        case _:
            return load_adapter_file(Path(source))


def _manifest_text(manifest: Mapping[str, object]) -> str:
    try:
        return free_text(manifest).decode()
    except NotCanonicalError as error:
        fault = DocumentError(
            "DEC-SYNTAX", str(error), where=error.place, fix="give the manifest nothing but JSON values"
        )
        raise setup_failed(_MANIFEST, [fault]) from error

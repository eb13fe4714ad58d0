"""Event streams, bundles and graphs, checked."""

from __future__ import annotations

from pathlib import Path

from ergo_cli.bundle.checking import check_bundle
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.errors import BundleError, ErgoError, EventError
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.host.preparation import check_composition
from ergo_cli.host.sources import open_source, source_label
from ergo_cli.host.validating.checked import Checked, Surroundings, all_errors
from ergo_cli.project.loading import load_cluster_from_files
from ergo_cli.project.surroundings import graph_inventory, graph_project


def check_events(path: str, surroundings: Surroundings) -> Checked:
    """An event stream, read to its end; its first fault is the only one that can be told."""
    kinds = SemanticKinds.IGNORED if surroundings.adapter is None else SemanticKinds.REQUIRED
    try:
        read_events(path, kinds)
    except EventError as error:
        return Checked(None, (error,))
    return Checked(None)


def read_events(path: str, kinds: SemanticKinds) -> None:
    """Read a stream to its end. Raises EventError at its first fault."""
    with open_source(path) as chunks:
        for _ in EventStream(chunks, source_label(path), semantic_kinds=kinds):
            pass


def check_bundle_file(path: str, surroundings: Surroundings) -> Checked:
    """A bundle, for itself."""
    try:
        reader = open_bundle(path)
    except BundleError as error:
        return Checked(None, (error,))
    errors: list[ErgoError] = []
    try:
        errors += check_bundle(reader)
    except BundleError as error:
        errors.append(error)
    return Checked(reader.graph_id, tuple(errors))


def check_graph(path: str, surroundings: Surroundings) -> Checked:
    """A graph with its clusters: loaded, expanded, validated, and composed with the adapter if there is one.

    The clusters and own primitives of its project count too; a graph with inputs or parameters is given stand-ins.
    """
    file = Path(path)
    try:
        project = graph_project(file, surroundings.project)
        folders = () if project is None else (project.root / "clusters",)
        inventory = graph_inventory(file, project)
        loaded = load_cluster_from_files(file, folders + surroundings.cluster_paths, inventory)
        if surroundings.adapter is not None:
            check_composition(loaded.program, surroundings.adapter)
    except ErgoError as error:
        return Checked(None, tuple(all_errors(error)))
    return Checked(loaded.id, (), loaded.notices)

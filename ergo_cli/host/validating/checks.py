"""One check for each kind of file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from ergo_cli.bundle.checking import check_bundle
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.core.notices import Notice
from ergo_cli.errors import AdapterError, BundleError, ErgoError, EventError
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.composition import ActionNode, SourceNode, compose
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.host.preparation import prepare_run
from ergo_cli.host.sources import open_source, source_label
from ergo_cli.programs.graph.manifest import ActionManifest, Manifest, SourceManifest
from ergo_cli.programs.graph.manifest_files import read_manifest
from ergo_cli.programs.graph.registration import check
from ergo_cli.project.loading import load_adapter_file, load_cluster_from_files, load_program_from_files
from ergo_cli.project.profiles import FixtureFile, ResolvedProfile, resolve_profile
from ergo_cli.project.root import find_project
from ergo_cli.project.texts import read_text
from ergo_cli.project.toml import read_project

_STAGES = ("graph.load_failed", "graph.prepare_failed", "adapter.setup_failed")


class Surroundings(Struct, frozen=True):
    """What files are checked against: an adapter, if one is given, and where clusters are looked for."""

    adapter: Adapter | None = None
    cluster_paths: tuple[Path, ...] = ()


class Checked(Struct, frozen=True):
    """What a check found; ``id`` is what the file calls itself."""

    id: str | None
    errors: tuple[ErgoError, ...] = ()
    notices: tuple[Notice, ...] = ()


def check_events(path: str, surroundings: Surroundings) -> Checked:
    """An event stream, read to its end; its first fault is the only one that can be told."""
    kinds = SemanticKinds.IGNORED if surroundings.adapter is None else SemanticKinds.REQUIRED
    try:
        with open_source(path) as chunks:
            for _ in EventStream(chunks, source_label(path), semantic_kinds=kinds):
                pass
    except EventError as error:
        return Checked(None, (error,))
    return Checked(None)


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

    Clusters are looked for in the project's folder of clusters too; one with inputs or parameters is given stand-ins.
    """
    try:
        project = find_project(Path(path))
        folders = () if project is None else (project.root / "clusters",)
        loaded = load_cluster_from_files(Path(path), folders + surroundings.cluster_paths)
        if surroundings.adapter is not None:
            prepare_run(loaded.program, surroundings.adapter)
    except ErgoError as error:
        return Checked(None, tuple(all_errors(error)))
    return Checked(loaded.id, (), loaded.notices)


def check_adapter(path: str, surroundings: Surroundings) -> Checked:
    """An adapter manifest."""
    try:
        adapter = load_adapter_file(Path(path))
    except ErgoError as error:
        return Checked(None, tuple(all_errors(error)))
    errors = () if surroundings.adapter is None else (_not_composable("adapter"),)
    return Checked(adapter.id, errors, tuple(adapter.notices))


def check_primitive(path: str, surroundings: Surroundings) -> Checked:
    """The manifest of a source, compute, trigger or action, composed with the adapter if there is one."""
    try:
        decoded = read_manifest(read_text(Path(path)), path)
    except ErgoError as error:
        return Checked(None, tuple(all_errors(error)))
    manifest = decoded.manifest
    errors: list[ErgoError] = [*check(manifest)]
    if surroundings.adapter is not None:
        errors += _compose(manifest, surroundings.adapter)
    return Checked(manifest.id, tuple(errors), decoded.notices)


def check_project(path: str, surroundings: Surroundings) -> Checked:
    """A project file and every profile in it, with the files that the profiles name."""
    try:
        project = read_project(Path(path).absolute())
    except ErgoError as error:
        return Checked(None, tuple(all_errors(error)))
    errors: list[ErgoError] = []
    notices = list(project.notices)
    for name in project.profiles:
        try:
            notices += _check_profile(resolve_profile(project, name))
        except ErgoError as error:
            errors += (_in_profile(each, name) for each in all_errors(error))
    return Checked(project.name, tuple(errors), tuple(notices))


def all_errors(error: ErgoError) -> Iterator[ErgoError]:
    """The faults of one file side by side: those behind the name of a stage, those found after the headline."""
    causes, error.causes = error.causes, ()
    if error.code not in _STAGES or not causes:
        yield error
    for cause in causes:
        yield from all_errors(cause)


def _check_profile(profile: ResolvedProfile) -> tuple[Notice, ...]:
    if isinstance(profile.ingress, FixtureFile):
        with open_source(str(profile.ingress.path)):
            pass
    if profile.graph is None:
        return ()
    loaded = load_program_from_files(profile.graph, profile.cluster_paths, profile.adapter)
    prepare_run(loaded.program, loaded.adapter)
    return loaded.notices


def _in_profile(error: ErgoError, profile: str) -> ErgoError:
    message = f"profile '{profile}': {error.message}"
    return ErgoError(error.code, message, where=error.where, fix=error.fix, rule=error.rule, details=error.details)


def _compose(manifest: Manifest, adapter: Adapter) -> list[AdapterError]:
    """COMP rules against a manifest alone: parameters have their defaults (spec 30 §24.3)."""
    defaults = {spec.name: spec.default.value for spec in manifest.parameters if spec.default is not None}
    match manifest:
        case SourceManifest():
            return compose(adapter.provides, [SourceNode(manifest.id, "", manifest.requires, defaults)], [])
        case ActionManifest():
            return compose(adapter.provides, [], [ActionNode(manifest.id, "", manifest.effects, defaults)])
        case _:
            return [_not_composable(manifest.kind)]


def _not_composable(kind: str) -> AdapterError:
    return AdapterError(
        "COMP-1",
        f"'{kind}' is not composed with an adapter: only graphs, sources and actions are",
        path="$.kind",
        rule="COMP-1",
        fix="leave --adapter out",
    )

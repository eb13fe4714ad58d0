"""The type of a file, and the checks of event streams, bundles, graphs and manifests (spec 00 §12.8, 30 §24)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from ergo_cli.bundle.checking import check_bundle
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.bundle.recognition import is_bundle
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.document_fields import shown
from ergo_cli.core.document_parsers import parse_json, parse_yaml
from ergo_cli.core.documents import LimitError, Mapping, Node, Scalar
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import (
    AdapterError,
    BundleError,
    DiscoveryError,
    DocumentError,
    ErgoError,
    EventError,
    RuleError,
    StepError,
    reason,
)
from ergo_cli.events.adapter import Adapter, load_adapter, with_formats
from ergo_cli.events.adapter_manifest import nearest_node
from ergo_cli.events.composition import ActionNode, SourceNode, compose
from ergo_cli.events.external import HostedEvent
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.host.event_input import check_binding, open_source, source_label
from ergo_cli.programs.graph.check.registration import check
from ergo_cli.programs.graph.files.manifest_file import DecodedManifest, read_manifest
from ergo_cli.programs.graph.primitives.primitive import ActionManifest, Manifest, SourceManifest
from ergo_cli.project.authored import NoText, TextTooLong, read_text
from ergo_cli.project.loading import load_cluster_from_files
from ergo_cli.project.primitives import graph_inventory, graph_project
from ergo_cli.project.trust import cluster_gate

if TYPE_CHECKING:
    from ergo_cli.events.redaction import Redaction

_STAGES = ("graph.load_failed", "graph.prepare_failed", "adapter.setup_failed")


class Surroundings(Struct, frozen=True):
    """What files are checked against: the adapter and project named by options, and further cluster folders.

    ``formats``: payloads with texts that are not of the ``format`` of their schema are refused.
    """

    adapter: Adapter | None = None
    cluster_paths: Sequence[str | PathLike[str]] = ()
    project: str | PathLike[str] | None = None
    formats: bool = False

    @property
    def folder(self) -> Path | None:
        """The named project as a Path."""
        return None if self.project is None else Path(self.project)


class Checked(Struct, frozen=True):
    """The result of a check; ``id`` is the id that the file declares."""

    id: str | None
    errors: tuple[ErgoError, ...] = ()
    notices: tuple[Notice, ...] = ()


def all_errors(error: ErgoError) -> Iterator[ErgoError]:
    """Yield an error and its causes as separate errors; one that only names the stage is left out."""
    causes, error.causes = error.causes, ()
    if error.code not in _STAGES or not causes:
        yield error
    for cause in causes:
        yield from all_errors(cause)


_EVENTS = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_PROJECTS = ("ergo.toml", "pyproject.toml")


class FileType(Enum):
    """The type of a file; the last six are values of its ``kind`` member."""

    EVENTS = "events"
    PROJECT = "project"
    BUNDLE = "bundle"
    CLUSTER = "cluster"
    ADAPTER = "adapter"
    SOURCE = "source"
    COMPUTE = "compute"
    TRIGGER = "trigger"
    ACTION = "action"


AUTHORED = tuple(file_type.value for file_type in list(FileType)[3:])
"""The values that the ``kind`` member of an authored file may have."""

_FIX = f"write kind: {', '.join(AUTHORED[:-1])} or {AUTHORED[-1]}"


def type_by_name(path: str) -> FileType | None:
    """The type by a file's name, or by its beginning if it may be a bundle; None if the content must decide."""
    name = os.path.basename(path)
    if name.endswith(_EVENTS):
        return FileType.EVENTS
    if name in _PROJECTS:
        return FileType.PROJECT
    return FileType.BUNDLE if is_bundle(path) else None


def type_by_content(text: str, path: str) -> FileType:
    """The type by the content of an authored text.

    Raises ErgoError ``INTERNAL`` if it declares none (C-118) or is Python, LimitError for what is too large or too deep
    to be read.
    """
    if path.endswith(".py"):
        fix = "validate the ergo.toml whose profile names the program"
        raise unrecognised(path, "it is Python", fix=fix)
    try:
        document = parse_json(text, path) if path.endswith(".json") else parse_yaml(text, path)
    except LimitError:
        raise
    except DocumentError as error:
        raise _unreadable(error) from error
    members = {name.text: node for name, node in document.entries} if isinstance(document, Mapping) else {}
    if "capture_version" in members:
        return FileType.BUNDLE
    kind = members.get("kind")
    if not isinstance(kind, Scalar):
        raise unrecognised(path, "it has no member 'kind' that is a text")
    if kind.text.lower() not in AUTHORED:
        where = f"{path}:{kind.mark.line}:{kind.mark.column}"
        raise unrecognised(path, f"its kind '{shown(kind.text)}' is unknown", where=where)
    return FileType(kind.text.lower())


def authored_text(path: str) -> str:
    """The text of an authored file.

    Raises ErgoError: ``LOAD-IO`` for no readable file, ``DEC-SYNTAX`` for a long one, ``INTERNAL`` for no text.
    """
    try:
        return read_text(Path(path))
    except OSError as error:
        message = f"'{path}' cannot be read: {reason(error)}"
        raise DiscoveryError("LOAD-IO", message, where=path, fix="name a file that can be read") from error
    except TextTooLong as error:
        message = f"'{path}' cannot be validated: {error}"
        raise LimitError("DEC-SYNTAX", message, where=path, fix=error.fix) from error
    except NoText as error:
        raise unrecognised(path, str(error), fix=error.fix) from error


def unrecognised(path: str, why: str, *, where: str | None = None, fix: str = _FIX) -> ErgoError:
    """The error of a file whose type cannot be determined."""
    message = f"'{path}' cannot be validated: {why}"
    return ErgoError("INTERNAL", message, where=where or path, fix=fix, rule="INTERNAL")


def _unreadable(error: DocumentError) -> ErgoError:
    fix = error.fix or "mend the text there"
    return ErgoError("INTERNAL", error.message, where=error.where, fix=fix, rule="INTERNAL", causes=(error,))


def check_events(path: str, surroundings: Surroundings) -> Checked:
    """Check an event stream by reading it to its end; only its first fault can be reported."""
    kinds = SemanticKinds.IGNORED if surroundings.adapter is None else SemanticKinds.REQUIRED
    try:
        read_events(path, kinds, with_formats(surroundings.adapter, surroundings.formats))
    except (EventError, StepError) as error:
        return Checked(None, (error,))
    return Checked(None)


def read_events(
    path: str, kinds: SemanticKinds, adapter: Adapter | None = None, redaction: Redaction | None = None
) -> None:
    """Read a stream to its end, bind each event to the adapter. Raises EventError or StepError at the first fault."""
    with open_source(path) as chunks:
        stream = EventStream(chunks, source_label(path), semantic_kinds=kinds, redaction=redaction)
        for event in stream:
            if adapter is not None:
                _bind(event, adapter, stream)


def _bind(event: HostedEvent, adapter: Adapter, stream: EventStream) -> None:
    try:
        check_binding(event, adapter, Numbers.EXACT)
    except StepError as error:
        error.where = f"{stream.place} {error.where}" if error.where else stream.place
        raise


def check_bundle_file(path: str, surroundings: Surroundings) -> Checked:
    """Check a bundle by itself, without a program."""
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
    """Check a graph with its clusters: load, expand and validate it, and compose it with the adapter if there is one.

    The clusters and primitives of its project are found too; stand-ins are bound to inputs and parameters.
    """
    file = Path(path)
    try:
        project = graph_project(file, surroundings.folder)
        folders = () if project is None else (project.root / "clusters",)
        inventory = graph_inventory(file, project)
        named = tuple(map(Path, surroundings.cluster_paths))
        loaded = load_cluster_from_files(file, folders + named, inventory, cluster_gate(project, named))
        computing = loaded.program.kind.computing
        if surroundings.adapter is not None and computing is not None:
            computing.fits(loaded.program.value, surroundings.adapter)
    except ErgoError as error:
        return Checked(None, tuple(all_errors(error)))
    return Checked(loaded.id, (), loaded.notices)


_PRIMITIVES = (FileType.SOURCE, FileType.COMPUTE, FileType.TRIGGER, FileType.ACTION)


def check_manifest(path: str, surroundings: Surroundings) -> Checked:
    """Check a manifest file, and compose it with the adapter if there is one."""
    text = authored_text(path)
    checked = validate_manifest_text(text, path)
    if surroundings.adapter is None:
        return checked
    composed = () if checked.id is None else _composed_text(text, path, surroundings.adapter)
    return Checked(checked.id, (*checked.errors, *composed), checked.notices)


def validate_manifest_text(text: str, label: str) -> Checked:
    """Check the manifest of an adapter, a source, a compute, a trigger or an action by every rule of its family.

    ``id`` is None if the text cannot be decoded.
    """
    try:
        file_type = type_by_content(text, label)
        if file_type is FileType.ADAPTER:
            adapter = load_adapter(text, label)
            return Checked(adapter.id, (), adapter.notices)
        if file_type not in _PRIMITIVES:
            raise unrecognised(label, f"it is not a manifest but a {file_type.value}")
        decoded = read_manifest(text, label)
    except ErgoError as error:
        return Checked(None, tuple(all_errors(error)))
    errors = _placed(check(decoded.manifest), text, label)
    return Checked(decoded.manifest.id, errors, decoded.notices)


def check_compose_text(
    adapter: str, manifest: str, adapter_label: str = "adapter", manifest_label: str = "manifest"
) -> tuple[ErgoError, ...]:
    """Every rule (ADP-*, COMP-*) that a source or an action breaks when composed with an adapter.

    The manifest's registration rules are not checked; its parameters have their defaults.
    """
    try:
        return _composed_text(manifest, manifest_label, load_adapter(adapter, adapter_label))
    except ErgoError as error:
        return tuple(all_errors(error))


def _composed_text(text: str, label: str, adapter: Adapter) -> tuple[ErgoError, ...]:
    file_type = type_by_content(text, label)
    if file_type not in _PRIMITIVES:
        return _placed([_not_composable(file_type.value)], text, label)
    decoded: DecodedManifest = read_manifest(text, label)
    return _placed(_composed(decoded.manifest, adapter), text, label)


def _composed(manifest: Manifest, adapter: Adapter) -> list[AdapterError]:
    """The COMP rules that a single manifest breaks."""
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


def _placed(errors: Iterable[AdapterError | RuleError], text: str, label: str) -> tuple[ErgoError, ...]:
    """Set the position of each error: that of the node at its path, else of the nearest node above."""
    document = _document(text, label)
    placed: list[ErgoError] = []
    for error in errors:
        mark = nearest_node(document, error.path or "$").mark
        error.where = f"{label}:{mark.line}:{mark.column}" + (f" {error.path}" if error.path else "")
        placed.append(error)
    return tuple(placed)


def _document(text: str, label: str) -> Node:
    """The document tree of a text that is known to decode."""
    try:
        return parse_yaml(text, label)
    except DocumentError as error:
        raise unrecognised(label, error.message, where=error.where) from error

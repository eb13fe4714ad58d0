"""Manifests of adapters and primitives, by themselves and composed with each other (spec 30 §24)."""

from __future__ import annotations

from collections.abc import Iterable

from ergo_cli.core.documents import Node
from ergo_cli.core.yaml_text import parse_yaml
from ergo_cli.errors import AdapterError, DocumentError, ErgoError, RuleError
from ergo_cli.events.adapter import Adapter, load_adapter
from ergo_cli.events.adapter.decode import nearest_node
from ergo_cli.events.composition import ActionNode, SourceNode, compose
from ergo_cli.host.validating.checked import Checked, Surroundings, all_errors
from ergo_cli.host.validating.kinds import FileKind, authored_text, kind_by_content, unknown_kind
from ergo_cli.programs.graph.manifest import ActionManifest, Manifest, SourceManifest
from ergo_cli.programs.graph.manifest_files import DecodedManifest, read_manifest
from ergo_cli.programs.graph.registration import check

_PRIMITIVES = (FileKind.SOURCE, FileKind.COMPUTE, FileKind.TRIGGER, FileKind.ACTION)


def check_manifest(path: str, surroundings: Surroundings) -> Checked:
    """A manifest file, composed with the adapter if there is one."""
    text = authored_text(path)
    checked = validate_manifest_text(text, path)
    if surroundings.adapter is None:
        return checked
    composed = () if checked.id is None else _composed_text(text, path, surroundings.adapter)
    return Checked(checked.id, (*checked.errors, *composed), checked.notices)


def validate_manifest_text(text: str, label: str) -> Checked:
    """A manifest of an adapter, a source, a compute, a trigger or an action, held against every rule of its family.

    ``id`` is None where the text cannot be decoded: then the first error is ``INTERNAL``, or names what is wrong.
    """
    try:
        kind = kind_by_content(text, label)
        if kind is FileKind.ADAPTER:
            adapter = load_adapter(text, label)
            return Checked(adapter.id, (), adapter.notices)
        if kind not in _PRIMITIVES:
            raise unknown_kind(label, f"it is no manifest but a {kind.value}")
        decoded = read_manifest(text, label)
    except ErgoError as error:
        return Checked(None, tuple(all_errors(error)))
    errors = _placed(check(decoded.manifest), text, label)
    return Checked(decoded.manifest.id, errors, decoded.notices)


def check_compose_text(
    adapter: str, manifest: str, adapter_label: str = "adapter", manifest_label: str = "manifest"
) -> tuple[ErgoError, ...]:
    """Whether a source or an action fits an adapter: every rule that is broken (ADP-*, COMP-*), none if it fits.

    The manifest's own registration rules are not looked at; its parameters have their defaults.
    """
    try:
        return _composed_text(manifest, manifest_label, load_adapter(adapter, adapter_label))
    except ErgoError as error:
        return tuple(all_errors(error))


def _composed_text(text: str, label: str, adapter: Adapter) -> tuple[ErgoError, ...]:
    kind = kind_by_content(text, label)
    if kind not in _PRIMITIVES:
        return _placed([_not_composable(kind.value)], text, label)
    decoded: DecodedManifest = read_manifest(text, label)
    return _placed(_composed(decoded.manifest, adapter), text, label)


def _composed(manifest: Manifest, adapter: Adapter) -> list[AdapterError]:
    """COMP rules against a manifest alone."""
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
    """The errors, each with the place in the text that its path leads to, or the nearest one on the way."""
    document = _document(text, label)
    placed: list[ErgoError] = []
    for error in errors:
        mark = nearest_node(document, error.path or "$").mark
        error.where = f"{label}:{mark.line}:{mark.column}" + (f" {error.path}" if error.path else "")
        placed.append(error)
    return tuple(placed)


def _document(text: str, label: str) -> Node:
    """The tree of a text that was decoded before."""
    try:
        return parse_yaml(text, label)
    except DocumentError as error:
        raise unknown_kind(label, error.message, where=error.where) from error

"""Manifests of primitives as files (spec 20 §4.1, 30 §24.2).

Decoding gives a manifest that may still break registration rules. A word that fits nowhere has the code of its
family's rule; whatever else keeps a text from being a manifest has the code ``INTERNAL``.
"""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.documents import Node
from ergo_cli.core.notices import Notice
from ergo_cli.core.reading import Fields, Reading
from ergo_cli.core.yaml_text import parse_yaml
from ergo_cli.errors import DocumentError
from ergo_cli.programs.graph.faults import raise_headline
from ergo_cli.programs.graph.manifest import (
    ActionManifest,
    ComputeManifest,
    Family,
    Manifest,
    SourceManifest,
    TriggerManifest,
)
from ergo_cli.programs.graph.manifest_parts import Parts, unreadable
from ergo_cli.programs.graph.manifest_words import FAMILIES, Heading, lookup


class DecodedManifest(Struct, frozen=True):
    """A manifest and what was odd about its text."""

    manifest: Manifest
    notices: tuple[Notice, ...] = ()


def read_manifest(text: str, label: str) -> DecodedManifest:
    """The manifest of a YAML or JSON text. Raises as ``decode_manifest`` does, ``INTERNAL`` for a malformed text."""
    try:
        node = parse_yaml(text, label)
    except DocumentError as error:
        raise unreadable(error, label) from error
    return decode_manifest(node, label)


def decode_manifest(node: Node, label: str) -> DecodedManifest:
    """The manifest of a document. Raises RuleError for the first fault, the others in its ``causes``."""
    reading = Reading(label)
    try:
        fields = Fields(node, reading)
        heading = Heading(fields.text("id"), _family(fields, reading))
    except DocumentError as error:
        raise unreadable(error, label) from error
    parts = Parts(heading, reading)
    manifest = parts.attempt(lambda: _manifest(heading, parts, fields))
    raise_headline(parts.errors)
    assert manifest is not None, "decoding without an error gives a manifest"
    for opened in (fields, *parts.opened):
        opened.finish()
    return DecodedManifest(manifest, tuple(reading.notices))


def _family(fields: Fields, reading: Reading) -> Family:
    kind = fields.text("kind")
    family = lookup(FAMILIES, kind)
    if family is None:
        fix = f"write one of {', '.join(FAMILIES)}"
        raise reading.error("DEC-ENUM", f"unknown kind '{kind}'", fields.node("kind"), "kind", fix)
    return family


def _manifest(heading: Heading, parts: Parts, fields: Fields) -> Manifest:
    match heading.family:
        case Family.SOURCE:
            return _source(heading.id, parts, fields)
        case Family.COMPUTE:
            return _compute(heading.id, parts, fields)
        case Family.TRIGGER:
            return _trigger(heading.id, parts, fields)
        case Family.ACTION:
            return _action(heading.id, parts, fields)


def _source(impl_id: str, parts: Parts, fields: Fields) -> SourceManifest:
    execution, state = parts.section(fields, "execution"), parts.section(fields, "state")
    return SourceManifest(
        id=impl_id,
        version=fields.text("version"),
        inputs=parts.inputs(fields),
        outputs=parts.outputs(fields),
        parameters=parts.parameters(fields),
        requires=parts.requires(fields),
        deterministic=execution.boolean("deterministic"),
        cadence=parts.cadence(execution),
        state_allowed=state.boolean("allowed"),
        side_effects=fields.boolean("side_effects"),
    )


def _compute(impl_id: str, parts: Parts, fields: Fields) -> ComputeManifest:
    execution, state = parts.section(fields, "execution"), parts.section(fields, "state")
    errors = parts.section(fields, "errors")
    return ComputeManifest(
        id=impl_id,
        version=fields.text("version"),
        inputs=parts.inputs(fields),
        outputs=parts.outputs(fields),
        parameters=parts.parameters(fields),
        deterministic=execution.boolean("deterministic"),
        cadence=parts.cadence(execution),
        may_error=execution.boolean("may_error"),
        errors_allowed=errors.boolean("allowed"),
        error_types=parts.error_types(errors),
        errors_deterministic=errors.boolean("deterministic"),
        state_allowed=state.boolean("allowed"),
        state_resettable=state.boolean("resettable"),
        state_description=state.optional_text("description"),
        side_effects=fields.boolean("side_effects"),
    )


def _trigger(impl_id: str, parts: Parts, fields: Fields) -> TriggerManifest:
    execution, state = parts.section(fields, "execution"), parts.section(fields, "state")
    return TriggerManifest(
        id=impl_id,
        version=fields.text("version"),
        inputs=parts.inputs(fields),
        outputs=parts.outputs(fields),
        parameters=parts.parameters(fields),
        deterministic=execution.boolean("deterministic"),
        cadence=parts.cadence(execution),
        state_allowed=state.boolean("allowed"),
        state_description=state.optional_text("description"),
        side_effects=fields.boolean("side_effects"),
    )


def _action(impl_id: str, parts: Parts, fields: Fields) -> ActionManifest:
    execution, state = parts.section(fields, "execution"), parts.section(fields, "state")
    return ActionManifest(
        id=impl_id,
        version=fields.text("version"),
        inputs=parts.inputs(fields),
        outputs=parts.outputs(fields),
        parameters=parts.parameters(fields),
        effects=parts.effects(fields),
        deterministic=execution.boolean("deterministic"),
        retryable=execution.boolean("retryable"),
        state_allowed=state.boolean("allowed"),
        side_effects=fields.boolean("side_effects"),
    )

"""The declared signature of a cluster document (spec 21 §4.1)."""

from __future__ import annotations

from ergo_cli.core.reading import Fields, Reading
from ergo_cli.core.values import ValueType
from ergo_cli.programs.graph.decode_names import identifier, word
from ergo_cli.programs.graph.definition import BoundaryKind, Signature, SignaturePort
from ergo_cli.programs.graph.manifest import Cardinality

VALUE_TYPES = {
    "number": ValueType.NUMBER,
    "series": ValueType.SERIES,
    "bool": ValueType.BOOL,
    "boolean": ValueType.BOOL,
    "event": ValueType.EVENT,
    "string": ValueType.STRING,
}
"""The words for the types of ports, in lower case."""

_KINDS = {
    word: kind
    for stem, kind in (
        ("source", BoundaryKind.SOURCE_LIKE),
        ("compute", BoundaryKind.COMPUTE_LIKE),
        ("trigger", BoundaryKind.TRIGGER_LIKE),
        ("action", BoundaryKind.ACTION_LIKE),
    )
    for word in (f"{stem}_like", f"{stem}like")
}
_CARDINALITIES = {"single": Cardinality.SINGLE, "multiple": Cardinality.MULTIPLE}


def signature(reading: Reading, fields: Fields) -> Signature:
    """The signature; every member of it is required. Raises DEC-MISSING, DEC-TYPE, DEC-ENUM, DEC-IDENT."""
    kind = word(reading, fields, "kind", _KINDS, "boundary kind")
    inputs = tuple(_port(reading, port) for port in fields.fields_each("inputs"))
    outputs = tuple(_port(reading, port) for port in fields.fields_each("outputs"))
    declared = Signature(kind, inputs, outputs, fields.boolean("has_side_effects"), fields.boolean("is_origin"))
    fields.finish()
    return declared


def _port(reading: Reading, fields: Fields) -> SignaturePort:
    what = "declared signature port name"
    name = identifier(reading, fields.text("name"), what, fields.node("name"), fields.path_of("name"))
    type_ = word(reading, fields, "type", VALUE_TYPES, "value type")
    cardinality = word(reading, fields, "cardinality", _CARDINALITIES, "cardinality")
    port = SignaturePort(name, type_, cardinality, fields.boolean("wireable"))
    fields.finish()
    return port

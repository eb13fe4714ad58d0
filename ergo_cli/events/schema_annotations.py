"""What checks nothing in a payload schema: members and formats that JSON Schema Draft 2020-12 does not know."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.core.document_fields import shown
from ergo_cli.core.json import JsonValue

_FORMATS = """
    date date-time time duration email idn-email hostname idn-hostname ipv4 ipv6 uri uri-reference iri iri-reference
    uuid uri-template json-pointer relative-json-pointer regex
"""
FORMATS = frozenset(_FORMATS.split())
"""The formats that the draft defines."""

_SCHEMA = "additionalProperties propertyNames contains items not if then else unevaluatedItems unevaluatedProperties"
_SCHEMA_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMA_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})
_PLAIN = """
    $id $schema $ref $anchor $dynamicRef $dynamicAnchor $vocabulary $comment definitions dependencies type const enum
    multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern maxItems minItems
    uniqueItems maxContains minContains maxProperties minProperties required dependentRequired title description
    default deprecated readOnly writeOnly examples format contentEncoding contentMediaType contentSchema
"""
_SCHEMAS = frozenset(_SCHEMA.split())
_OTHERS = frozenset(_PLAIN.split())


def unknown_annotations(schema: JsonValue, path: str) -> Iterator[tuple[str, str]]:
    """The path and a message for each of them, where the draft reads a schema; ``path`` is the schema's own."""
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        below = f"{path}.{keyword}"
        if keyword in _SCHEMAS:
            yield from unknown_annotations(value, below)
        elif keyword in _SCHEMA_LISTS and isinstance(value, list):
            for index, item in enumerate(value):
                yield from unknown_annotations(item, f"{below}[{index}]")
        elif keyword in _SCHEMA_MAPS and isinstance(value, dict):
            for name, item in value.items():
                yield from unknown_annotations(item, f"{below}.{name}")
        elif keyword == "format" and isinstance(value, str) and value not in FORMATS:
            yield below, _unknown_format(value)
        elif keyword not in _OTHERS:
            yield below, f"keyword '{shown(keyword)}' is unknown to JSON Schema Draft 2020-12 and checks nothing"


def _unknown_format(name: str) -> str:
    hint = did_you_mean(name, FORMATS)
    message = f"format '{shown(name)}' is unknown to JSON Schema Draft 2020-12 and checks nothing"
    return f"{message}; {hint}" if hint else message

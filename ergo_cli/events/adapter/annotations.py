"""Members of payload schemas that Draft 2020-12 does not know: they check nothing, so they are told (§10.2)."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.core.json import JsonValue

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


def unknown_keywords(schema: JsonValue, path: str) -> Iterator[str]:
    """The paths of members that the draft does not know, where it reads a schema; ``path`` is the schema's own."""
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        below = f"{path}.{keyword}"
        if keyword in _SCHEMAS:
            yield from unknown_keywords(value, below)
        elif keyword in _SCHEMA_LISTS and isinstance(value, list):
            for index, item in enumerate(value):
                yield from unknown_keywords(item, f"{below}[{index}]")
        elif keyword in _SCHEMA_MAPS and isinstance(value, dict):
            for name, item in value.items():
                yield from unknown_keywords(item, f"{below}.{name}")
        elif keyword not in _OTHERS:
            yield below

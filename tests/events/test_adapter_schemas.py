from __future__ import annotations

from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from ergo_cli.core.values import ValueType
from ergo_cli.events.adapter_schemas import SchemaFault, check_schema, compile_schema, context_type
from ergo_cli.events.schema_annotations import FORMATS, unknown_annotations

CLOSED = {"type": "object", "additionalProperties": False}


@pytest.mark.parametrize("schema", [True, False, None, 7, "object", []])
def test_only_objects_are_schemas(schema: Any) -> None:
    assert check_schema(schema) == "the schema must be a JSON object"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({**CLOSED, "oneOf": []}, "'oneOf' at $"),
        ({**CLOSED, "properties": {"a": {"anyOf": []}}}, "'anyOf' at $.properties.a"),
        ({"$ref": "other.json"}, "'$ref' at $"),
        ({"$ref": 7}, "'$ref' at $"),
        ({"type": "object"}, "additionalProperties"),
        ({"type": ["null", "object"]}, "additionalProperties"),
        ({"properties": {}}, "additionalProperties"),
        ({"type": "object", "additionalProperties": {}}, "additionalProperties"),
        ({"allOf": [{"type": "object"}]}, "at $.allOf[0]"),
        ({"const": {"type": "object"}}, "does not tell a constant"),
        ({"enum": [{"type": "object"}]}, "does not tell a constant"),
        ({**CLOSED, "properties": {"oneOf": {"type": "number"}}}, "does not tell a property's name"),
    ],
)
def test_ban_scan(schema: Any, words: str) -> None:
    assert words in (check_schema(schema) or "")


def test_ban_scan_goes_in_pre_order_and_by_name() -> None:
    schema = {**CLOSED, "properties": {"b": {"oneOf": []}, "a": {"anyOf": []}}}
    assert "'anyOf' at $.properties.a" in (check_schema(schema) or "")
    both = {"anyOf": [{"oneOf": []}], "type": "object"}
    assert "'anyOf' at $ " in (check_schema(both) or "")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nuber"},
        {"required": ["a", "a"]},
        {"pattern": "("},
        {"minLength": -1},
        {"maxItems": 1.5},
        {"exclusiveMinimum": True},
        {"$ref": "#/nowhere"},
        {"$dynamicRef": "http://example.com/schema"},
        {"$schema": "http://json-schema.org/draft-04/schema#", "exclusiveMinimum": True, "minimum": 1},
    ],
)
def test_schemas_that_the_draft_refuses(schema: Any) -> None:
    assert check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, 1.0, 1.5),
        ({"type": "number"}, 1, True),
        ({"type": ["string", "null"]}, None, 1),
        ({"enum": [1, "a"]}, 1.0, 2),
        ({"const": 1}, 1.0, True),
        ({**CLOSED, "properties": {"a": False}}, {}, {"a": 1}),
        ({"patternProperties": {"^a": {"type": "number"}}}, {"b": "x"}, {"ab": "x"}),
        ({"required": ["a"]}, {"a": None}, {}),
        ({"propertyNames": {"maxLength": 1}}, {"a": 1}, {"ab": 1}),
        ({"minProperties": 1, "maxProperties": 1}, {"a": 1}, {}),
        ({"dependentRequired": {"a": ["b"]}}, {"b": 1}, {"a": 1}),
        ({"dependentSchemas": {"a": {"required": ["b"]}}}, {"b": 1}, {"a": 1}),
        ({"items": {"type": "number"}}, [1], ["1"]),
        ({"prefixItems": [{"type": "number"}], "items": False}, [1], [1, 2]),
        ({"contains": {"const": 1}, "minContains": 2, "maxContains": 2}, [1, 1, 0], [1]),
        ({"minItems": 1, "maxItems": 2}, [1], []),
        ({"uniqueItems": True}, [1, 2], [1, 1.0]),
        ({"minimum": 0, "maximum": 1}, 1, 2),
        ({"exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5, 1),
        ({"multipleOf": 0.5}, 1.5, 0.7),
        ({"minLength": 1, "maxLength": 100.0}, "é", ""),
        ({"maxLength": 1}, "😀", "ab"),
        ({"pattern": "b"}, "abc", "ac"),
        ({"allOf": [{"minimum": 0}, {"maximum": 1}]}, 0, 2),
        ({"not": {"const": 1}}, 2, 1.0),
        ({"if": {"minimum": 5}, "then": {"maximum": 6}, "else": {"minimum": 1}}, 6, 0),
        ({"$defs": {"n": {"type": "number"}}, "$ref": "#/$defs/n"}, 1, "1"),
        ({"items": {"$ref": "#"}, "type": "array"}, [[[]]], [[1]]),
    ],
)
def test_keywords_that_manifests_rely_on(schema: Any, good: Any, bad: Any) -> None:
    assert check_schema(schema) is None
    validator = compile_schema(schema)
    assert validator.is_valid(good)
    assert not validator.is_valid(bad)


def test_formats_are_annotations_unless_asserted() -> None:
    assert compile_schema({"format": "email"}).is_valid("nobody")
    assert not compile_schema({"format": "email"}, formats=True).is_valid("nobody")


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_of_the_draft_is_asserted(name: str) -> None:
    """Each refuses a text that is of no format."""
    assert Draft202012Validator({"format": name}, validate_formats=True, ignore_unknown_formats=False)
    assert not compile_schema({"format": name}, formats=True).is_valid("%zz{ (")


def test_unknown_formats_and_keywords_are_found_where_schemas_are() -> None:
    schema = {"items": {"format": "datetime"}, "const": {"format": "x"}, "properties": {"format": {"foo": 1}}}
    assert dict(unknown_annotations(schema, "$")) == {
        "$.items.format": "format 'datetime' is unknown to JSON Schema Draft 2020-12 and checks nothing; "
        "did you mean 'date-time'?",
        "$.properties.format.foo": "keyword 'foo' is unknown to JSON Schema Draft 2020-12 and checks nothing",
    }


def test_nothing_is_fetched() -> None:
    with pytest.raises(SchemaFault, match="nothing is fetched"):
        compile_schema({"$ref": "file:///schema.json"})


@pytest.mark.parametrize(
    ("schema", "type"),
    [
        ({"type": "number"}, ValueType.NUMBER),
        ({"type": "integer"}, ValueType.NUMBER),
        ({"type": "boolean"}, ValueType.BOOL),
        ({"type": "string", "enum": ["a"]}, ValueType.STRING),
        ({"type": "array", "items": {"type": "number"}}, ValueType.SERIES),
        ({"type": "array", "items": {"type": "integer"}}, ValueType.SERIES),
    ],
)
def test_context_types(schema: Any, type: ValueType) -> None:
    assert context_type(schema) is type


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (True, "must be an object"),
        ({}, "no 'type'"),
        ({"type": ["number"]}, "union"),
        ({"type": "array"}, "items"),
        ({"type": "array", "items": True}, "items"),
        ({"type": "array", "items": {"type": ["number"]}}, "arrays of numbers"),
        ({"type": "object"}, "'object'"),
        ({"type": "null"}, "'null'"),
    ],
)
def test_no_context_type(schema: Any, words: str) -> None:
    with pytest.raises(SchemaFault, match=words):
        context_type(schema)


def of(**pattern: Any) -> dict[str, Any]:
    return {**CLOSED, "properties": {"a": {"type": "string", **pattern}}}


@pytest.mark.parametrize(
    "pattern", ["^[a-z]{3}$", r"^\d{4}-\d{2}$", r"^\p{L}+$", r"\w{1,255}", "(a|b)+c?", "^.{1,200}$"]
)
def test_plain_patterns(pattern: str) -> None:
    assert check_schema(of(pattern=pattern)) is None


@pytest.mark.parametrize("pattern", ["a{1,50000}{1,50000}", "(?=(a+)+$)x", "(?!a)b", "(?<=a)b", r"(a)\1"])
@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
def test_patterns_that_are_not_matched_in_linear_time(pattern: str, keyword: str) -> None:
    schema = of(pattern=pattern) if keyword == "pattern" else {**CLOSED, keyword: {pattern: True}}
    assert "linear time" in (check_schema(schema) or "")


def test_patterns_have_a_size() -> None:
    assert check_schema(of(pattern="a" * 4096)) is None
    assert "$.properties.a.pattern: a pattern longer than 4096" in (check_schema(of(pattern="a" * 4097)) or "")
    many = {**CLOSED, "patternProperties": {f"{number:04}" + "a" * 4000: True for number in range(5)}}
    assert "more than 16384 characters together" in (check_schema(many) or "")

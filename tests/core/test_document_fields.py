from __future__ import annotations

from collections.abc import Callable

import pytest

from ergo_cli.core.diagnostics import Notice, did_you_mean, nearest
from ergo_cli.core.document_fields import Fields, Reading, one_of, shown
from ergo_cli.core.document_parsers import parse_json, parse_yaml
from ergo_cli.errors import DocumentError


def fields(text: str) -> tuple[Fields, Reading]:
    reading = Reading("a.yaml", shape="shape: ", content="content: ")
    return Fields(parse_yaml(text, "a.yaml"), reading), reading


def refusal(read: Callable[[], object]) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read()
    return caught.value


def test_members_are_read_by_type():
    of, _ = fields("id: 5\nname: x\non: true\nsize: 3\nitems: [{a: 1}, {a: 2}]\nnone: ~\n")
    assert of.text("id") == "5"
    assert of.string("name") == "x"
    assert of.boolean("on") is True
    assert of.scalar("size") == 3
    assert [(each.path, each.scalar("a")) for each in of.fields_each("items")] == [("items[0]", 1), ("items[1]", 2)]
    assert len(of.sequence("items")) == 2


def test_optional_members_may_be_absent_or_null():
    of, _ = fields("none: ~\nempty:\n")
    for name in ("none", "empty", "absent"):
        assert of.optional_node(name) is None
        assert of.optional_text(name) is None
        assert of.optional_string(name) is None
        assert of.optional_boolean(name) is None
        assert of.optional_fields(name) is None


def test_nothing_behind_a_colon_is_an_empty_collection_and_null_is_not():
    of, _ = fields("empty:\nnone: ~\n")
    assert of.sequence("empty") == ()
    assert of.fields("empty").entries() == ()
    assert of.sequence_or_empty("absent") == ()
    assert refusal(lambda: of.sequence_or_empty("none")).code == "DEC-TYPE"
    assert refusal(lambda: of.fields("none")).code == "DEC-TYPE"


def test_a_missing_member_is_named_with_the_place_of_its_mapping():
    of, _ = fields("id: x\nnodes:\n  n: {impl: a}\n")
    error = refusal(lambda: of.fields("nodes").fields("n").text("cluster"))
    assert (error.code, error.where) == ("DEC-MISSING", "a.yaml:3:6 nodes.n")
    assert error.message == "shape: missing field `cluster`"
    assert error.fix == "add the key 'cluster'"


def test_a_misspelt_member_is_pointed_at():
    of, _ = fields("versoin: 1\n")
    assert refusal(lambda: of.text("version")).fix == "rename 'versoin' to 'version'"


@pytest.mark.parametrize(
    ("text", "read", "found"),
    [
        ("a: [1]", lambda of: of.text("a"), "expected a string, got a sequence"),
        ("a: 5", lambda of: of.string("a"), "expected a string, got '5'"),
        ("a: yes", lambda of: of.boolean("a"), "expected a boolean, got 'yes'"),
        ("a: {b: 1}", lambda of: of.sequence("a"), "expected a sequence, got a mapping"),
        ("a: x", lambda of: of.fields("a"), "expected a mapping, got 'x'"),
        ("a: [x]", lambda of: of.scalar("a"), "expected a scalar, got a sequence"),
        ("a: .nan", lambda of: of.scalar("a"), "'.nan' is not a finite number"),
        ("a: ~", lambda of: of.string("a"), "expected a string, got null"),
    ],
)
def test_a_member_of_the_wrong_type(text: str, read: Callable[[Fields], object], found: str):
    of, _ = fields(text)
    error = refusal(lambda: read(of))
    assert (error.code, error.where) == ("DEC-TYPE", "a.yaml:1:4 a")
    assert error.message == f"shape: invalid type: {found}"
    assert error.fix


def test_json_has_to_write_strings_as_strings():
    of = Fields(parse_json('{"id": 5, "name": "x", "none": null}', "a.json"), Reading("a.json"))
    assert of.text("name") == "x"
    assert refusal(lambda: of.text("id")).code == "DEC-TYPE"
    assert of.optional_text("none") is None


def test_members_that_nobody_asked_for_are_noticed_with_their_path():
    of, reading = fields("id: x\nnodes: {n: {impl: a, parms: 1}}\n")
    node = of.fields("nodes").fields("n")
    node.text("impl")
    assert "params" not in node
    node.finish()
    of.finish()
    assert reading.notices == [
        Notice("unknown key 'parms' is ignored; did you mean 'params'?", "a.yaml:2:22 nodes.n.parms"),
        Notice("unknown key 'id' is ignored", "a.yaml:1:1 id"),
    ]


def test_no_entry_of_an_open_mapping_is_unknown():
    of, reading = fields("a: 1\nb: 2\n")
    assert [key.text for key, _ in of.entries()] == ["a", "b"]
    of.finish()
    assert reading.notices == []


def test_collected_errors_are_raised_together_structural_ones_first():
    of, reading = fields("a: x\n")
    assert reading.attempt(lambda: of.text("a")) == "x"
    reading.errors.append(reading.error("DEC-IDENT", "bad name", of.at))
    assert reading.attempt(lambda: of.text("b")) is None
    reading.attempt(lambda: of.boolean("a"))
    error = refusal(reading.close)
    assert [each.code for each in (error, *error.causes)] == ["DEC-MISSING", "DEC-TYPE", "DEC-IDENT"]
    assert error.causes[1].message == "content: bad name"


def test_nothing_collected_is_nothing_raised():
    reading = Reading("a.yaml")
    reading.close()
    assert reading.errors == []


def test_an_unknown_word_is_answered_with_the_nearest_or_with_all():
    of, reading = fields("type: numbr\n")
    known = ("number", "series")
    near = one_of(reading, "numbr", known, "value type", of.at, "type")
    assert (near.code, near.fix) == ("DEC-ENUM", "did you mean 'number'?")
    assert "unknown value type 'numbr'" in near.message
    assert one_of(reading, "zzz", known, "value type", of.at, "type").fix == "write one of number, series"


def test_the_nearest_name_ignores_case_and_distant_names():
    assert nearest("Thershold", ["threshold", "scale"]) == "threshold"
    assert nearest("zzz", ["threshold"]) is None
    assert nearest("x" * 10_000, ["x"]) is None
    assert did_you_mean("scal", ["scale"]) == "did you mean 'scale'?"
    assert did_you_mean("q", []) is None


def test_long_values_are_shortened_in_messages():
    assert shown("x" * 60) == "x" * 60
    assert shown("x" * 61) == "x" * 60 + "…"

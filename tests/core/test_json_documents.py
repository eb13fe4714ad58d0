from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.core.document_fields import to_value
from ergo_cli.core.document_parsers import parse_json
from ergo_cli.core.documents import LimitError, Mapping, Mark, Scalar, Style
from ergo_cli.errors import DocumentError


def refusal(text: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse_json(text, "a.json")
    assert caught.value.message.startswith("parse JSON 'a.json': ")
    return caught.value


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_json_texts_are_read(value: object, indent: int | str | None, ascii_only: bool):
    assert to_value(parse_json(json.dumps(value, indent=indent, ensure_ascii=ascii_only), "a.json")) == value


def test_nodes_know_where_they_stand():
    root = parse_json('{\n  "é": [1,\n "x"]}', "a.json")
    assert isinstance(root, Mapping)
    ((key, items),) = root.entries
    assert key == Scalar("é", Style.JSON, True, Mark(2, 3))
    assert items.mark == Mark(2, 8)
    assert root.mark == Mark(1, 1)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "1:1"),
        ("  \n", "2:1"),
        ("{ not valid json", "1:3"),
        ("[1,]", "1:4"),
        ('{"a":1,}', "1:8"),
        ('{"a" 1}', "1:6"),
        ("{1:2}", "1:2"),
        ("[1 2]", "1:4"),
        ("[1}", "1:3"),
        ("]", "1:1"),
        ("[", "1:2"),
        ("01", "1:2"),
        ("1.", "1:2"),
        (".5", "1:1"),
        ("+1", "1:1"),
        ("-", "1:1"),
        ("1e", "1:2"),
        ("NaN", "1:1"),
        ("Infinity", "1:1"),
        ("tru", "1:1"),
        ("truefalse", "1:5"),
        ("// no\n1", "1:1"),
        ("\ufeff1", "1:1"),
        ("\xa01", "1:1"),
        ('"a', "1:1"),
        ('"\t"', "1:1"),
        ('"\\x"', "1:1"),
        ('"\\u12"', "1:1"),
        ('"\\ud800"', "1:1"),
        ("1e400", "1:1"),
        ("-1e400", "1:1"),
        ("1 2", "1:3"),
        ('{"a":1}\nx', "2:1"),
    ],
)
def test_what_is_not_json(text: str, place: str):
    error = refusal(text)
    assert (error.code, error.where) == ("DEC-SYNTAX", f"a.json:{place}")
    assert error.fix


def test_all_duplicate_members_are_told():
    error = refusal('{"a":1,\n"a":2,"b":{"c":1,"\\u0063":2}}')
    assert [(each.code, each.where) for each in (error, *error.causes)] == [
        ("DEC-DUP", "a.json:2:1"),
        ("DEC-DUP", "a.json:2:18"),
    ]
    assert "duplicate field `a`" in error.message


def test_127_levels_are_read():
    assert to_value(parse_json("[" * 127 + "]" * 127, "a.json")) is not None


@pytest.mark.parametrize("text", ["[" * 128 + "]" * 128, "[" * 10_000, '{"a":' * 10_000])
def test_deeper_texts_are_refused_and_the_limit_is_named(text: str):
    error = refusal(text)
    assert isinstance(error, LimitError)
    assert "127" in error.message


def test_a_text_may_not_be_longer_than_8_mib():
    assert isinstance(refusal(" " * (8 * 2**20 + 1)), LimitError)

from __future__ import annotations

import pytest

from ergo_cli.core.document_fields import ScalarError, resolve, to_value
from ergo_cli.core.document_parsers import parse_json, parse_yaml
from ergo_cli.core.documents import Mark, Scalar, Style

HERE = Mark(3, 7)


def plain(text: str) -> object:
    return resolve(Scalar(text, Style.PLAIN, False, HERE))


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_null(text: str):
    assert plain(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [*((text, True) for text in ("true", "True", "TRUE")), *((text, False) for text in ("false", "False", "FALSE"))],
)
def test_booleans(text: str, value: bool):
    assert plain(text) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("+4", 4),
        ("3", 3),
        ("-12", -12),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("0x1F", 31),
        ("0o17", 15),
        ("0b101", 5),
        ("-0x10", -16),
        ("+0b1", 1),
    ],
)
def test_integers(text: str, value: int):
    resolved = plain(text)
    assert (type(resolved), resolved) == (int, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9223372036854775808", 9223372036854775808.0),
        ("18446744073709551615", 18446744073709551615.0),
        ("0xFFFFFFFFFFFFFFFF", 18446744073709551615.0),
        ("1.0", 1.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1E3", 1000.0),
        ("1.5e-7", 1.5e-7),
        ("+4.2", 4.2),
        ("00.5", 0.5),
        ("12e03", 12000.0),
    ],
)
def test_floats(text: str, value: float):
    resolved = plain(text)
    assert (type(resolved), resolved) == (float, value)


def test_negative_zero_keeps_its_sign():
    assert str(plain("-0.0")) == "-0.0"


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "no", "on", "off", "y", "n", "tRUE", "nULL"),
        *("007", "00", "-012", "+00"),
        *("0b2", "0o8", "0xG", "0x", "0X1F", "-0b"),
        *("1e400", "-1e400", "1e", "1_000", "inf", "nan", "NaN", "Infinity", "2024-01-01", "12:30:45"),
        *("1.2.3", "+", ".", "-", "+.nan", " 1", "1 "),
    ],
)
def test_everything_else_is_a_string(text: str):
    assert plain(text) == text


@pytest.mark.parametrize("text", [".inf", ".Inf", ".INF", "-.inf", "+.INF", ".nan", ".NaN", ".NAN"])
def test_numbers_that_are_not_finite_are_refused(text: str):
    with pytest.raises(ScalarError, match="is not a finite number") as caught:
        plain(text)
    assert caught.value.mark == HERE


@pytest.mark.parametrize(
    "text", ["18446744073709551616", "-9223372036854775809", "0x10000000000000000", "1" * 5000, "-" + "9" * 5000]
)
def test_integers_beyond_64_bits_are_refused(text: str):
    with pytest.raises(ScalarError, match="does not fit 64 bits"):
        plain(text)


@pytest.mark.parametrize("text", ["null", "true", "5", "1.5", ".inf", ""])
def test_quoted_scalars_are_strings(text: str):
    assert resolve(Scalar(text, Style.QUOTED, True, HERE)) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-0", 0),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", 9223372036854775808.0),
        ("18446744073709551616", 18446744073709551616.0),
        ("3.0", 3.0),
        ("3e0", 3.0),
        ("true", True),
        ("null", None),
        ('"3"', "3"),
        ('"null"', "null"),
    ],
)
def test_json_literals(text: str, value: object):
    node = parse_json(text, "a.json")
    assert isinstance(node, Scalar)
    resolved = resolve(node)
    assert (type(resolved), resolved) == (type(value), value)


def test_a_whole_tree_becomes_a_plain_value():
    node = parse_yaml("type: object\nrequired: [price, '5', 5]\nnested: {deep: {on: true}, none: }\n", "a.yaml")
    assert to_value(node) == {
        "type": "object",
        "required": ["price", "5", 5],
        "nested": {"deep": {"on": True}, "none": None},
    }


@pytest.mark.parametrize("text", ["9223372036854775808", "18446744073709551615"])
def test_a_plain_value_keeps_unsigned_integers(text: str):
    for tree in (parse_yaml(text, "a.yaml"), parse_json(text, "a.json")):
        assert (type(to_value(tree)), to_value(tree)) == (int, int(text))


def test_a_tree_with_a_number_that_is_not_finite_is_refused_at_its_place():
    with pytest.raises(ScalarError) as caught:
        to_value(parse_yaml("a:\n  - 1\n  - .nan\n", "a.yaml"))
    assert caught.value.mark == Mark(3, 5)

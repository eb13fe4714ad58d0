"""The YAML profile of spec 21 §2 and the limits of spec 00 §12.4."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.core.document_fields import to_value
from ergo_cli.core.document_parsers import parse_yaml
from ergo_cli.core.documents import LimitError, Mapping, Mark, Scalar, Style
from ergo_cli.errors import DocumentError


def read(text: str) -> object:
    return to_value(parse_yaml(text, "a.yaml"))


def refusal(text: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse_yaml(text, "a.yaml")
    assert caught.value.message.startswith("parse YAML 'a.yaml': ")
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("\ufeffa: 1\n", {"a": 1}),
        ("a: 1\r\nb:\r\n  - x\r\n", {"a": 1, "b": ["x"]}),
        ("---\na: 1\n...\n", {"a": 1}),
        ("# one\na: x#y # two\n", {"a": "x#y"}),
        ("a:\n- 1\n- 2\n", {"a": [1, 2]}),
        ("{a: 1, b: [x, y,],\n c: {d: 2,},}", {"a": 1, "b": ["x", "y"], "c": {"d": 2}}),
        ("a: b:c\nd: 'it''s'\n", {"a": "b:c", "d": "it's"}),
        (r'"\" \\ \/ \b \f \n \r \t \0 \a \e \v \x41 é \U0001F600"', '" \\ / \b \f \n \r \t \0 \a \x1b \v A é 😀'),
        ('"one\n  two"', "one two"),
        ("a: |\n  x\n  y\nb: >-\n  x\n  y\nc: |+\n  x\n\n", {"a": "x\ny\n", "b": "x y", "c": "x\n\n"}),
        ("'a b': 1\n\"c\": 2\n5: 3\n", {"a b": 1, "c": 2, "5": 3}),
        ("- $incoming -> gate.event\n- a.b -> c.d\n", ["$incoming -> gate.event", "a.b -> c.d"]),
        ("- add@0.1.0\n- scale@>=2.0, <3\n- gt@^0.1\n", ["add@0.1.0", "scale@>=2.0, <3", "gt@^0.1"]),
        ("a: !!str 5\nb: !!str\n", {"a": "5", "b": ""}),
        ("a: &x [1, {b: 2}]\nc: *x\n", {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}),
        ("a: &x 1\nb: &x 2\nc: *x\n", {"a": 1, "b": 2, "c": 2}),
        ("a:\nb: ~\n", {"a": None, "b": None}),
        (r'"😀"', "😀"),
        ('"<<": 1\n', {"<<": 1}),
    ],
)
def test_what_the_profile_has(text: str, value: object):
    assert read(text) == value


@pytest.mark.parametrize(
    ("text", "fragment", "place"),
    [
        ("", "no document", "1:1"),
        ("# nothing\n", "no document", "1:1"),
        ("a: 1\n---\nb: 2\n", "second document", "2:1"),
        ("a: 1\n...\nb\n", "second document", "3:1"),
        ("a:\n\t- b\n", "\\t", "2:1"),
        ("a: {\n\tb: 1}\n", "tab is used for indentation", "2:2"),
        ("a: b: c\n", "mapping values are not allowed", "1:5"),
        ("a: 'x\n", "unexpected end of stream", "2:1"),
        ("a: [1\nb: 2\n", "", "2:"),
        ("a: !foo 1\n", "unsupported tag '!foo'", "1:4"),
        ("a: ! 1\n", "unsupported tag '!'", "1:4"),
        ("a: !!int '1'\n", "unsupported tag 'tag:yaml.org,2002:int'", "1:4"),
        ("!!map {a: 1}\n", "unsupported tag", "1:1"),
        ("a: {<<: {b: 1}}\n", "merge keys", "1:5"),
        ("a: *x\n", "unknown alias *x", "1:4"),
        ("a: &x [1, *x]\n", "contains itself", "1:11"),
        ("? [a]\n: 1\n", "a key must be a scalar", "1:3"),
        ("a: &x [1]\n*x : 2\n", "a key must be a scalar", "2:1"),
        ("a: \x01\n", "U+0001", "1:4"),
        ('"\\ud83d"', "half a character", "1:1"),
        ('"\\UFFFFFFFF"', "stands for nothing", "1:1"),
        ("a: @b\n", "cannot start any token", "1:4"),
    ],
)
def test_what_the_profile_refuses(text: str, fragment: str, place: str):
    error = refusal(text)
    assert error.code == "DEC-SYNTAX"
    assert error.fix
    assert fragment in error.message
    assert error.where is not None
    assert error.where.startswith(f"a.yaml:{place}")


def test_all_duplicate_keys_are_told_the_first_as_headline():
    error = refusal("a: 1\nb: {c: 1, 'c': 2}\na: 2\n")
    assert [(each.code, each.where) for each in (error, *error.causes)] == [
        ("DEC-DUP", "a.yaml:2:11"),
        ("DEC-DUP", "a.yaml:3:1"),
    ]
    assert "duplicate field `c` (first on line 2)" in error.message


def test_nodes_know_where_they_stand_and_how_they_were_written():
    root = parse_yaml("a: 1\nbc:\n  - 'x'\n", "a.yaml")
    assert isinstance(root, Mapping)
    (key, one), (_, items) = root.entries
    assert key == Scalar("a", Style.PLAIN, False, Mark(1, 1))
    assert one == Scalar("1", Style.PLAIN, False, Mark(1, 4))
    assert items.mark == Mark(3, 3)
    assert read("[x, 'x']") == ["x", "x"]


@pytest.mark.parametrize("text", ["[" * 127 + "]" * 127, "- " * 127 + "x", "{a: " * 127 + "1" + "}" * 127])
def test_127_levels_are_read(text: str):
    assert read(text) is not None


@pytest.mark.parametrize("text", ["[" * 128 + "]" * 128, "[" * 10_000, "- " * 10_000 + "x", "{a: " * 10_000])
def test_deeper_texts_are_refused_and_the_limit_is_named(text: str):
    error = refusal(text)
    assert isinstance(error, LimitError)
    assert error.code == "DEC-SYNTAX"
    assert "127" in error.message


def test_aliases_may_not_multiply_beyond_100_000_nodes():
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 6)]
    error = refusal("\n".join(lines))
    assert isinstance(error, LimitError)
    assert "100000 nodes" in error.message


def test_a_text_may_not_be_longer_than_8_mib():
    error = refusal("x" * (8 * 2**20 + 1))
    assert isinstance(error, LimitError)
    assert "8 MiB" in error.message


def test_8_mib_are_counted_in_bytes():
    assert isinstance(refusal("é" * (4 * 2**20 + 1)), LimitError)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc<", max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_json_is_yaml(value: object):
    assert read(json.dumps(value)) == value


@given(st.text("ab:-[]{},&*!|>'\"\\?#<%\n\r\t 01.e\ufeff\x85\x00", max_size=40))
def test_any_text_is_read_or_refused_with_a_place(text: str):
    where: str | None = "a.yaml:"
    try:
        parse_yaml(text, "a.yaml")
    except DocumentError as error:
        where = error.where
    assert where is not None
    assert where.startswith("a.yaml:")


def test_yaml_is_not_imported_before_a_text_is_read():
    code = (
        "import sys, ergo_cli.core.document_parsers as y; assert 'ruamel.yaml' not in sys.modules; "
        "y.parse_yaml('a', 'a'); assert 'ruamel.yaml' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#\n" * 250_001, "250000 lines"),
        ("\r" * 250_001, "250000 lines"),
        ("a: |\n" + " " * 4096 + "x", "4095 spaces"),
        ("!" + "a" * 2000 + " x", "a tag of more than 1024"),
        ("&" + "a" * 2000 + " x", "an anchor or an alias of more than 1024"),
        ("[*" + "a" * 2000 + "]", "an anchor or an alias of more than 1024"),
        ("%" + "a" * 2000 + "\n---\n", "a directive of more than 1024"),
    ],
)
def test_what_would_take_long_is_refused(text: str, words: str):
    error = refusal(text)
    assert error.code == "DEC-SYNTAX"
    assert words in error.message


def test_250_000_lines_are_read():
    assert read("#\n" * 249_999 + "a: 1") == {"a": 1}


@pytest.mark.parametrize("quotes", ["", "'", '"'])
def test_a_scalar_of_megabytes_is_read(quotes: str):
    assert read(f"a: {quotes}{'x ' * 2**21}y{quotes}") == {"a": "x " * 2**21 + "y"}

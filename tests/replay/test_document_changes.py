"""What changed between two authored documents."""

from __future__ import annotations

import pytest

from ergo_cli.programs.changes import Change, Layer
from ergo_cli.replay.document_changes import document_changes

BEFORE = """\
id: desk
context_keys:
  - { name: price, type: Number }
  - { name: held, type: Bool }
required: [a, b]
empty: {}
note: "x"
"""


def lines(after: str, file: str = "a.yaml", before: str = BEFORE) -> list[str]:
    found = document_changes(before, after, file, Layer.ADAPTER)
    parts = [(each.line, each.subject, each.verb.value, each.before, each.after) for each in found]
    return [" ".join(str(part) for part in each if part is not None) for each in parts]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("type: Bool", "type: Number", ["4 context_keys.held.type changed Bool Number"]),
        ("[a, b]", "[a, b, c]", ["5 required[2] added c"]),
        ("[a, b]", "[a]", ["required[1] removed b"]),
        ('"x"', '"y"', ['7 note changed "x" "y"']),
        ('"x"', "x", ['7 note changed "x" x']),
        ("empty: {}", "empty: { a: 1 }", ["6 empty.a added 1", "empty removed {}"]),
        ("name: held", "name: kept", [
            "4 context_keys.kept.name added kept", "4 context_keys.kept.type added Bool",
            "context_keys.held.name removed held", "context_keys.held.type removed Bool",
        ]),
        ("name: held", "name: price", [
            "3 context_keys[0].name added price", "3 context_keys[0].type added Number",
            "4 context_keys[1].name added price", "4 context_keys[1].type added Bool",
            "context_keys.price.name removed price", "context_keys.price.type removed Number",
            "context_keys.held.name removed held", "context_keys.held.type removed Bool",
        ]),
        ('"x"', f'"{"y" * 50}"', ['7 note changed "x"']),
    ],
)  # fmt: skip
def test_members_that_differ_are_named_by_path_and_line(old: str, new: str, expected: list[str]) -> None:
    assert lines(BEFORE.replace(old, new)) == expected


def test_comments_and_order_are_idle() -> None:
    [change] = document_changes(BEFORE, "# more\n" + BEFORE, "a.yaml", Layer.ADAPTER)
    assert change == Change(
        subject="comments, blank lines or order only", layer=Layer.ADAPTER, file="a.yaml", idle=True
    )
    assert lines(BEFORE) == []


def test_json_is_read_as_json() -> None:
    assert lines('{"a": 2}', "a.json", '{"a": 1}') == ["1 a changed 1 2"]


def test_a_text_that_cannot_be_read_is_one_change() -> None:
    assert lines("a: [\n") == ["the file changed"]

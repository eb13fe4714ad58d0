"""The scanner that reads runs gives what that of ruamel.yaml gives, faults and places included."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ergo_cli.core.yaml_scanning import LinearReader, LinearScanner

PIECES = [
    *("a", "x y", " ", "  ", "\n", "\n  ", "\n- ", "- ", ": ", ":", "? ", "?", "#", " #c", "\t", '"', "'", "''"),
    *("\\n", "\\x41", "\\u00e9", '\\"', "\\", "|", ">", "|-\n", ">+\n ", "[", "]", "{", "}", ",", "&a ", "*a"),
    *("!t ", "!!str ", "\r", "\r\n", "\x85", "\u2028", "\ufeff", "---", "\n---\n", "%YAML 1.1\n", "é", "😀"),
    *("k: v\n", "- i\n", '"q r"', "'s t'", '"a\n  b"', "\\\t", '"a  \n b\\', "-", "@"),
]


def read(text: str, *, runs: bool) -> list[Any]:
    """Every event with its places, and the fault that ended the reading."""
    parser: Any = YAML(typ="safe", pure=True, plug_ins=[])
    if runs:
        parser.Reader, parser.Scanner = LinearReader, LinearScanner
    events: list[Any] = []
    try:
        for event in parser.parse(text):
            members = [getattr(event, name, None) for name in ("value", "anchor", "style")]
            marks = [(mark.line, mark.column, mark.index) for mark in (event.start_mark, event.end_mark)]
            events.append((type(event).__name__, *members, str(getattr(event, "tag", None)), *marks))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        events.append((error.problem, error.context, mark and (mark.line, mark.column)))
    except (YAMLError, ValueError) as error:
        events.append(type(error).__name__)
    return events


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_both_scanners_agree(text: str) -> None:
    assert read(text, runs=True) == read(text, runs=False)

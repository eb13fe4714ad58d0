from __future__ import annotations

from ergo_cli.errors import ErgoError
from ergo_cli.report.text import error_block, printable


def test_lines_stand_in_the_order_of_the_specification() -> None:
    error = ErgoError("a.b", "it broke", rule="R-1", where="f:1:2", fix="mend it", details=("one", "two"))
    assert list(error_block(error)) == [
        "error: it broke",
        "code: a.b",
        "rule: R-1",
        "where: f:1:2",
        "fix: mend it",
        "detail: one",
        "detail: two",
    ]


def test_absent_parts_are_left_out() -> None:
    assert list(error_block(ErgoError("a.b", "it broke"))) == ["error: it broke", "code: a.b"]


def test_a_cause_that_the_headline_repeats_is_told_once() -> None:
    cause = ErgoError("V.1", "edge leads nowhere", where="g.yaml:3:1")
    error = ErgoError("graph.prepare_failed", "edge leads nowhere", where="g.yaml:3:1", causes=(cause,))
    assert not [line for line in error_block(error) if line.startswith("detail:")]


def test_further_faults_follow_as_details() -> None:
    other = ErgoError("V.2", "input without edge", where="g.yaml:9:1")
    headline = ErgoError("V.1", "edge leads nowhere", where="g.yaml:3:1", causes=(other,))
    error = ErgoError("graph.prepare_failed", "edge leads nowhere", where="g.yaml:3:1", causes=(headline,))
    assert list(error_block(error))[-1] == "detail: g.yaml:9:1: input without edge (V.2)"


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert printable("a\x1b[31mb\rc\nd\u202e") == "a\\x1b[31mb\\rc\\nd\\u202e"
    assert printable("größe …") == "größe …"


def test_what_an_input_says_at_great_length_is_left_out_in_the_middle() -> None:
    [message, *_] = error_block(ErgoError("a.b", f"event id '{'i' * 1_000_000}' is used twice"))
    assert len(message) < 2100
    assert message.startswith("error: event id 'iii")
    assert message.endswith("iii' is used twice")


def test_no_value_can_pass_for_a_line_of_its_own() -> None:
    assert list(error_block(ErgoError("a.b", "no file 'x\ncode: c.d'"))) == [
        "error: no file 'x\\ncode: c.d'",
        "code: a.b",
    ]

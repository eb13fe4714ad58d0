from __future__ import annotations

from pathlib import Path

import pytest

from ergo_cli.errors import ErgoError
from ergo_cli.report.error_text import error_lines, near
from ergo_cli.report.text import Tone, printable


def lines(*errors: ErgoError, verbose: bool = False) -> list[str]:
    return [line.text for line in error_lines(errors, verbose=verbose)]


def test_one_line_says_what_is_wrong_and_one_what_to_do() -> None:
    error = ErgoError("a.b", "it broke", rule="R-1", where="f:1:2", fix="mend it")
    assert lines(error) == ["error: f:1:2  it broke", "  fix: mend it"]


def test_codes_rules_and_hashes_are_said_where_more_is_asked_for() -> None:
    digest = "sha256:" + "0123456789abcdef" * 4
    error = ErgoError("a.b", f"was {digest}", rule="R-1", fix="mend it", details=(f"expected: {digest}", "see two"))
    assert lines(error) == ["error: was sha256:01234567…", "  fix: mend it", "  detail: see two"]
    assert lines(error, verbose=True) == [
        f"error: was {digest}",
        "  fix: mend it",
        "  code: a.b",
        "  rule: R-1",
        f"  detail: expected: {digest}",
        "  detail: see two",
    ]


def test_a_place_in_several_words_stands_below_unless_the_message_has_it() -> None:
    assert lines(ErgoError("a.b", "it broke", where="run 'r' seq 1")) == ["error: it broke", "  where: run 'r' seq 1"]
    assert lines(ErgoError("a.b", "unknown option '--x'", where="arg '--x'")) == ["error: unknown option '--x'"]


def test_a_file_with_several_errors_is_named_once() -> None:
    other = ErgoError("V.2", "input without edge", where="g.yaml:9:1", fix="add an edge")
    headline = ErgoError("V.1", "edge leads nowhere", where="g.yaml:3:1", causes=(other,))
    error = ErgoError("graph.prepare_failed", "edge leads nowhere", where="g.yaml:3:1", causes=(headline,))
    elsewhere = ErgoError("V.1", "edge leads nowhere", where="h.yaml:1:1")
    assert lines(error, elsewhere) == [
        "error: g.yaml  2 errors",
        "  3:1  edge leads nowhere",
        "  9:1  input without edge",
        "    fix: add an edge",
        "",
        "error: h.yaml:1:1  edge leads nowhere",
    ]


def test_a_file_that_the_message_names_is_not_named_again_by_the_place() -> None:
    where = "g.yaml:3:1"
    assert lines(ErgoError("a.b", "graph 'g.yaml': no node 'x'", where=where)) == ["error: g.yaml:3:1  no node 'x'"]
    assert lines(ErgoError("a.b", "graph 'g.yaml': no node 'x'", where=f"{where} edges[0]")) == [
        "error: g.yaml:3:1 edges[0]  no node 'x'"
    ]
    assert lines(ErgoError("a.b", "'g.yaml' is not a graph", where=where)) == ["error: 'g.yaml:3:1' is not a graph"]


def test_a_remedy_that_errors_have_in_common_is_said_once() -> None:
    one, two = (ErgoError("a.b", f"cannot read '{name}'", fix="check the path") for name in ("a", "b"))
    other = ErgoError("a.b", "cannot read 'c'", fix="make it readable")
    assert lines(one, two, other) == [
        "error: cannot read 'a'",
        "error: cannot read 'b'",
        "  fix: check the path",
        "",
        "error: cannot read 'c'",
        "  fix: make it readable",
    ]
    here = [ErgoError("a.b", f"no node '{name}'", where=f"g.yaml:{name}", fix="declare it") for name in ("1", "2")]
    assert lines(*here) == ["error: g.yaml  2 errors", "  1  no node '1'", "  2  no node '2'", "    fix: declare it"]


def test_both_sides_are_not_repeated_below_a_message_that_has_them() -> None:
    details = ("expected: 'x'", "got: 'y'", "c.d: recorded 'x'")
    error = ErgoError("a.b", "recorded 'x', current 'y'", details=details, causes=(ErgoError("c.d", "recorded 'x'"),))
    assert lines(error) == ["error: recorded 'x', current 'y'"]
    assert lines(error, verbose=True) == ["error: recorded 'x', current 'y'", "  code: a.b", "  detail: c.d"]


@pytest.mark.parametrize("detail", ["agent.py: changed", "a/b.py: new", "which is not known: the program", "limit: 3"])
def test_a_detail_is_said_even_if_the_message_has_a_part_of_it(detail: str) -> None:
    error = ErgoError("a.b", "the program changed: a new limit of 3 which is not known", details=(detail,))
    for verbose in (False, True):
        assert f"  detail: {detail}" in lines(error, verbose=verbose)


def test_an_error_without_place_in_a_file_stands_with_the_one_that_it_is_behind() -> None:
    error = ErgoError("a.b", "it broke", causes=(ErgoError("c.d", "no key 'x'", where="$.inputs"),))
    assert lines(error) == ["error: it broke", "  detail: $.inputs: no key 'x'"]
    assert lines(error, verbose=True)[-1] == "  detail: $.inputs: no key 'x' (c.d)"


def test_paths_below_the_current_folder_are_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = ErgoError("a.b", f"no file '{tmp_path}/a/b.json'", where=f"{tmp_path}/g.yaml:1:2")
    assert lines(error) == ["error: g.yaml:1:2  no file 'a/b.json'"]
    assert near(f"/mnt{tmp_path}/a {tmp_path}-2/a {tmp_path}") == f"/mnt{tmp_path}/a {tmp_path}-2/a {tmp_path}"


def test_errors_have_the_tone_of_what_is_bad() -> None:
    error = ErgoError("a.b", "it broke", fix="mend it", details=("d",))
    assert [line.tone for line in error_lines([error], verbose=True)] == [Tone.BAD, Tone.PLAIN, Tone.FAINT, Tone.FAINT]


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert printable("a\x1b[31mb\rc\nd\u202e") == "a\\x1b[31mb\\rc\\nd\\u202e"
    assert printable("größe …") == "größe …"


def test_what_an_input_says_at_great_length_is_left_out_in_the_middle() -> None:
    [message, *_] = lines(ErgoError("a.b", f"event id '{'i' * 1_000_000}' is used twice"))
    assert len(message) < 2100
    assert message.startswith("error: event id 'iii")
    assert message.endswith("iii' is used twice")


def test_no_value_can_pass_for_a_line_of_its_own() -> None:
    assert lines(ErgoError("a.b", "no file 'x\nfix: c.d'")) == ["error: no file 'x\\nfix: c.d'"]


def test_the_file_of_a_member_is_said_where_the_message_names_only_the_member() -> None:
    error = ErgoError("a.b", "unknown key 'profiles.default.foo' is ignored", where="ergo.toml profiles.default.foo")
    assert lines(error)[1:] == ["  where: ergo.toml profiles.default.foo"]
    noun = ErgoError("a.b", "unknown option '--foo'", where="option --foo")
    assert lines(noun)[1:] == []

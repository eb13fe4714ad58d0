"""The HTML report without a browser: what it says, its bounds, that it is the same for the same result."""

from __future__ import annotations

import random
import sys
from typing import Any

import pytest
from html_reader import Page
from html_results import HOSTILE, bundle, divergence, hostile_results, picture, result, written

from ergo_cli.errors import ErgoError
from ergo_cli.programs.changes import Change
from ergo_cli.programs.pictures import Edge, Picture
from ergo_cli.replay.results import BundleResult, Outcome
from ergo_cli.report.command_result import refusal
from ergo_cli.report.formats.html.drawing import MOST_NODES
from ergo_cli.report.formats.html.page import MOST_BYTES
from ergo_cli.report.formats.registry import Around, rendered


def read(*results: BundleResult, command: str = "replay") -> Page:
    return Page(written(result(*results, command=command)))


def test_a_match_has_its_verdict_and_little_else() -> None:
    found = read(bundle("a.json", decided=8))
    assert found.texts(".badge") == ["=match"]
    assert found.texts("h1") == ["a.json"]
    assert found.headings == []
    assert "every decision is as recorded" in found.text


def test_a_divergence_is_told_without_a_script() -> None:
    change = Change(subject="level.value", before="105.0", after="104.0", file="graph.yaml", line=20)
    found = read(bundle("a.json", divergence(1, changes=(0,)), decided=8, changes=(change,)))
    assert found.headings == ["What changed", "The first that differs", "What to do next", "All divergences"]
    assert found.texts("section:nth-of-type(2) td") == ["graph.yaml:20", "level.value", "105.0", "104.0"]
    assert found.texts(".lead") == ["1 of 8 decisions differs"]
    assert found.texts(".sides td") == ['changed: "old"', 'changed: "new"']
    assert found.texts(".commands code") == ["ergo replay a.json", "ergo why a.json e1", "ergo accept a.json"]
    assert "because level.value 105.0 -> 104.0" in found.text


def test_a_diff_names_its_sides() -> None:
    found = read(bundle("b.json", divergence(1), base="a.json"), command="diff")
    assert found.texts("h1") == ["a.json → b.json"]
    assert found.texts(".sides th") == ["A", "B"]
    assert found.texts(".commands code") == ["ergo diff a.json b.json", "ergo explain b.json --event e1"]


def test_several_bundles_stand_in_one_table_the_gravest_first() -> None:
    refused = BundleResult("c.json", Outcome.REFUSED, ErgoError("bundle.read_failed", "cannot be read", fix="mend it"))
    found = read(bundle("a.json", decided=3), bundle("b.json", divergence(0)), refused)
    assert found.texts("h1") == ["3 bundles"]
    assert found.texts(".lead") == ["1 of 3 bundles differ; 1 of 3 bundles cannot be compared"]
    rows = found.texts("td[data-name=bundle]")
    assert rows == ["c.json", "b.json", "a.json"]
    assert found.texts(".error .what") == ["cannot be read"]
    assert "fix mend it code bundle.read_failed" in found.text


def test_a_command_that_failed_says_why() -> None:
    error = ErgoError("cli.invalid_option_value", "is wrong", where="option --until", fix="give more")
    found = Page(rendered("html", refusal("replay", error, 2).report, Around()))
    assert found.texts(".badge") == ["!refused"]
    assert "where option --until fix give more" in found.text


def test_no_text_of_a_stranger_becomes_markup() -> None:
    """The parser of the reader finds no handler, no second script, and the text itself where it is shown."""
    found = read(*hostile_results())
    assert HOSTILE in found.text
    assert "49" not in found.text
    [entry] = found.lines()[1:]
    assert entry["event"] == HOSTILE


def test_what_turns_or_controls_a_text_is_an_escape() -> None:
    found = read(bundle("a\x1b[31m\u202e.json", divergence(1, event_id="e\u2028\x00\u2066", actual="\u202e\x1b")))
    controls = [each for each in found.data.decode() if not each.isprintable() and each not in "\n \u2016"]
    assert controls == []
    assert all(text.isprintable() for entry in found.lines()[1:] for text in entry["facts"])


def test_the_same_result_is_the_same_page() -> None:
    results = (bundle("a.json", *(divergence(each) for each in range(200)), decided=500), bundle("b.json", decided=1))
    assert written(result(*results)) == written(result(*results))


def test_a_page_of_many_incompressible_divergences_stays_below_two_megabytes() -> None:
    chance = random.Random(7)
    many = [divergence(each, chance.randbytes(600).hex(), chance.randbytes(600).hex()) for each in range(10_000)]
    data = written(result(*(bundle(f"{name}.json", *many, decided=20_000) for name in "ab")))
    assert len(data) < MOST_BYTES
    found = Page(data)
    held = len(found.lines()) - 1
    assert 500 < held < 20_000
    assert f"shown: the first {held:,} of 20,000 divergences" in found.text


def test_ten_thousand_usual_divergences_are_all_held() -> None:
    found = read(bundle("a.json", *(divergence(each, each, -each) for each in range(10_000))))
    assert len(found.lines()) == 10_001
    assert "shown: the first" not in found.text
    assert len(found.data) < MOST_BYTES


def test_many_bundles_changes_groups_and_errors_are_cut_and_counted() -> None:
    long = "x" * 5000
    changes = tuple(Change(subject=f"{each}{long}", before=long, after=long, file=long) for each in range(700))
    refused = [
        BundleResult(f"r{each}{long}", Outcome.REFUSED, ErgoError("bundle.read_failed", f"{each}{long}"))
        for each in range(700)
    ]
    groups = [divergence(each, node=f"{each}{long}", path=f"p{each}") for each in range(700)]
    data = written(result(bundle(f"{long}.json", *groups, changes=changes), *refused))
    found = Page(data)
    assert len(data) < MOST_BYTES
    for what in ("changes", "groups", "bundles", "errors"):
        assert f" of {701 if what == 'bundles' else 700} {what}" in found.text


def test_a_divergence_of_ten_megabytes_is_cut_and_says_so() -> None:
    long = "x" * 5_000_000
    found = read(bundle("a.json", divergence(1, f"{long}a{long}", f"{long}b{long}")))
    assert len(found.data) < 100_000
    assert "…xxx" in found.text
    rows = [{"line": each, "text": "x" * 50} for each in range(2000)]
    found = read(bundle("a.json", divergence(1, rows, [*rows[:-1], {"line": -1, "text": ""}])))
    assert "… 7,992 lines left out" in found.text
    assert len(found.data) < 200_000


def test_a_value_that_one_side_has_alone_is_cut_and_says_so() -> None:
    found = read(bundle("a.json", divergence(1, None, "y" * 10_000_000)))
    assert "9,999,762 characters left out" in found.text
    assert len(found.data) < 100_000


def test_the_program_is_drawn_with_what_differs_in_it() -> None:
    change = Change(subject="part0.value", before="1", after="2", nodes=("part0",))
    found = read(bundle("a.json", divergence(1, node="part2", changes=(0,)), changes=(change,), picture=picture(4)))
    assert [each.split()[0] for each in found.texts(".box.is-change")] == ["part0"]
    assert [each.split()[0] for each in found.texts(".box.is-differs")] == ["part1", "part2"]
    assert len(found.texts(".box")) == 4
    assert len(found.root.cssselect("svg path")) == 3
    assert "part0 compute (changed), part1 compute (differs), part2 compute (differs)" in found.text


def test_of_a_large_program_what_is_next_to_what_differs_is_drawn() -> None:
    found = read(bundle("a.json", divergence(1, node="part500"), picture=picture(1000)))
    assert [each.split()[0] for each in found.texts(".box")] == ["part499", "part500", "part501"]
    assert "left out: 997 parts" in found.text
    assert MOST_NODES < 997


def test_a_program_that_feeds_itself_is_drawn() -> None:
    ring = picture(3)
    edges = (*ring.edges, Edge("n2", "n0"), Edge("n1", "n1"))
    found = read(bundle("a.json", divergence(1, node="part1"), picture=Picture(**{**_members(ring), "edges": edges})))
    assert len(found.texts(".box")) == 3


def _members(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


def test_the_stream_is_cells_of_what_is_equal_and_what_differs() -> None:
    found = read(bundle("gone.json", divergence(3), divergence(3, path="x"), divergence(4), decided=100))
    [stream] = found.lines()[0]["streams"]
    assert stream["cells"] == [
        {"kind": "equal", "first": 0, "last": 2},
        {"kind": "differs", "first": 3, "last": 4, "count": 3, "differing": 2},
        {"kind": "equal", "first": 5, "last": 99},
    ]


@pytest.mark.parametrize("step", [2, 3, 7])
def test_a_stream_that_differs_everywhere_has_few_cells(step: int) -> None:
    found = read(bundle("gone.json", *(divergence(each) for each in range(0, 5000, step)), decided=5000))
    [stream] = found.lines()[0]["streams"]
    cells = stream["cells"]
    assert len(cells) <= 240
    assert [each["first"] for each in cells[1:]] == [each["last"] + 1 for each in cells[:-1]]
    assert (cells[0]["first"], cells[-1]["last"]) == (0, 4999)
    assert sum(each.get("differing", 0) for each in cells) == len(range(0, 5000, step))


def test_without_jinja_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ErgoError) as caught:
        written(result(bundle("a.json", decided=1)))
    assert (caught.value.code, caught.value.fix) == ("cli.report_write_failed", "pip install 'ergo-replay[html]'")

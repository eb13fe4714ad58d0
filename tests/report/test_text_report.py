from __future__ import annotations

import io
from collections import Counter

import pytest

from ergo_cli.bundle.inspection import DecisionCounts
from ergo_cli.replay.results import BundleResult, Divergence, DivergenceKind, Episode, Outcome
from ergo_cli.report import facts
from ergo_cli.report.comparisons import DIFF, REPLAY, Shown, render_comparison
from ergo_cli.report.layout import plain_lines
from ergo_cli.report.terminal import console, draw
from ergo_cli.report.text import Fields, Line, Table, Tone


def _divergence(seq: int, **changes: object) -> Divergence:
    members = {
        "event_id": f"e{seq}",
        "episode_id": seq,
        "kind": DivergenceKind.EFFECT_CHANGED,
        "path": "effects[0].writes[0].value.Number",
        "expected": 1.5,
        "actual": 2.5,
        "code": "replay.effect_mismatch",
    }
    return Divergence(seq, **{**members, **changes})  # type: ignore[arg-type]


def _diverged(*divergences: Divergence, count: int | None = None) -> BundleResult:
    return BundleResult(
        "b.json",
        Outcome.DIVERGED,
        events=9,
        decisions=DecisionCounts(8, 0, 1),
        divergence_count=count or len(divergences),
        divergences=divergences,
        differing=2,
        before_first=(Episode(0, "e0", 0, "Invoke", "Completed", 2), Episode(1, "e1", 1, "Defer", None, 0)),
    )


def test_hashes_codes_and_paths_of_the_first_divergence_are_said_where_more_is_asked_for() -> None:
    first = _divergence(2, node="hot/act", origin="hot/check", cause="numbers")
    found = [_diverged(first, _divergence(4), count=7)]
    told = list(plain_lines(render_comparison("replay", found, REPLAY, shown=Shown(verbose=True)).blocks))
    assert told[0] == "differs  b.json  2 of 9 decisions"
    assert "  path      effects[0].writes[0].value.Number" in told
    assert "  code      replay.effect_mismatch" in told
    assert any(line.startswith("  because   both agree once numbers are read") for line in told)
    assert told[-1] == "and 5 more; --max-divergences lists them"


def test_a_diff_calls_the_sides_a_and_b() -> None:
    found = [_diverged(_divergence(2, code=None))]
    lines = list(plain_lines(render_comparison("diff", found, DIFF, shown=Shown(verbose=True)).blocks))
    assert "  in A      1.5" in lines
    assert "  in B      2.5" in lines


def test_several_bundles_begin_with_a_sum() -> None:
    match = BundleResult("a.json", Outcome.MATCH, events=1, decisions=DecisionCounts(1, 0, 0))
    lines = list(plain_lines(render_comparison("replay", [match, match, _diverged(_divergence(0))], REPLAY).blocks))
    assert lines[0] == "differs  1 of 3 bundles  11 events"
    assert not [line for line in lines if "a.json" in line]


def test_plain_text_has_no_control_characters() -> None:
    blocks = (Line("a\x1b[31m"), Table(("x",), (("\x07",),)), Fields((("n", "v\r"),)))
    assert list(plain_lines(blocks)) == ["a\\x1b[31m", "x", "\\x07", "n  v\\r"]


def test_a_terminal_gets_frames_and_colour_only_where_wanted() -> None:
    blocks = (Line("bad", Tone.BAD), Table(("name", "count"), (("a", "1"),), frozenset({"count"})))
    drawn = {}
    for colored in (True, False):
        file = io.StringIO()
        draw(blocks, console(file, colored=colored))
        drawn[colored] = file.getvalue()
    assert "\x1b[1;31mbad\x1b[0m" in drawn[True]
    assert "│ a    │     1 │" in drawn[False]
    assert "[31m" not in drawn[False]


@pytest.mark.parametrize("bundles", [1, 3])
def test_text_and_document_share_the_facts_of_a_divergence(monkeypatch: pytest.MonkeyPatch, bundles: int) -> None:
    made: Counter[int] = Counter()

    def counting(divergence: Divergence) -> list[facts.Fact]:
        made[id(divergence)] += 1
        return original(divergence)

    original = facts.facts
    monkeypatch.setattr(facts, "facts", counting)
    found = [_diverged(*(_divergence(seq, node="n") for seq in range(50))) for _ in range(bundles)]
    result = render_comparison("replay", found, REPLAY, shown=Shown(listed=True))
    assert sum("1.5 -> 2.5" in line for line in plain_lines(result.blocks)) >= 50 * bundles
    assert [each.facts for each in result.report.bundles[0].divergences] == [
        ("~ effects[0].writes[0].value.Number  1.5 -> 2.5  by n",)
    ] * 50
    assert (len(made), set(made.values())) == (50 * bundles, {1})

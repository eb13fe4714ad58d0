"""Every screen at 20, 60, 80 and 120 columns against a text in ``golden/``, which was read through by eye."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from ergo_cli.bundle.inspection import DecisionCounts
from ergo_cli.core.levels import FailOn, Level
from ergo_cli.errors import ErgoError, ReplayError
from ergo_cli.programs.recorded import LogDifference, RecordLine
from ergo_cli.programs.runs import RunRecord, RunTable, ShownRun, Standing
from ergo_cli.replay.level_counts import LevelCounts
from ergo_cli.replay.results import BundleResult, Divergence, DivergenceKind, Episode, Outcome
from ergo_cli.report import terminal
from ergo_cli.report.comparisons import DIFF, REPLAY, Shown, Sides, render_comparison
from ergo_cli.report.error_text import error_lines
from ergo_cli.report.kept_runs import render_run_state
from ergo_cli.report.layout import cell_width, plain_lines, terminal_lines
from ergo_cli.report.terminal import console, draw
from ergo_cli.report.text import Block, Line, Row, Rows, Table, Tone

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (20, 60, 80, 120)
LONG = "order-" + "0123456789" * 30


def _write(key: str, value: object, kind: str = "set_context") -> dict[str, Any]:
    tag = "Bool" if isinstance(value, bool) else "Number" if isinstance(value, float) else "String"
    return {"kind": kind, "writes": [{"key": key, "value": {tag: value}}], "effect_hash": "ab" * 32}


def _order(price: float) -> dict[str, Any]:
    values = {"side": {"String": "buy"}, "price": {"Number": price}, "quantity": {"Number": 10.0}}
    fields = [{"name": name, "value": value} for name, value in values.items()]
    intent = {"kind": "place_order", "intent_id": "eid1:sha256:" + "cd" * 32, "fields": fields}
    return {"kind": "place_order", "writes": [], "intents": [intent], "effect_hash": "cd" * 32}


def _extra(seq: int, event: str, effect: dict[str, Any], node: str, **more: Any) -> Divergence:
    return Divergence(seq, event, seq, DivergenceKind.EFFECT_EXTRA, "effects[1]", None, effect, node=node, **more)


def _level(seq: int, event: str, here: float, there: float) -> Divergence:
    path = "effects[0].writes[0].value.Number"
    effect = _write("slow_level", here)
    kind = DivergenceKind.EFFECT_CHANGED
    return Divergence(seq, event, seq, kind, path, here, there, node="slow/avg", effect=effect)


def _differs(path: str, differing: int, decisions: int, *found: Divergence, **more: Any) -> BundleResult:
    counts = DecisionCounts(decisions, 0, 0)
    return BundleResult(
        path,
        Outcome.DIVERGED,
        events=decisions,
        decisions=counts,
        divergence_count=len(found),
        divergences=found,
        differing=differing,
        **more,
    )


def _scheduled() -> BundleResult:
    """What is below ``--fail-on decision``: deadlines, and a payload that was decided alike."""
    kind, late = DivergenceKind.DECISION, {"secs": 5, "nanos": 0}
    payload = ("event.payload.price", 104.25, 104.5)
    return _differs(
        "captures/tuesday.json",
        3,
        8,
        Divergence(0, "q-0900", 0, kind, "deadline", None, late, level=Level.TIMING),
        Divergence(1, "q-0910", 1, DivergenceKind.EVENT_CHANGED, *payload, level=Level.EVIDENCE),
        Divergence(2, "q-0920", 2, kind, "deadline", None, late, level=Level.TIMING),
        levels=LevelCounts(evidence=1, timing=2),
        fail_on=FailOn.DECISION,
        base="captures/monday.json",
    )


def _match(path: str, events: int = 8) -> BundleResult:
    return BundleResult(path, Outcome.MATCH, events=events, decisions=DecisionCounts(events - 1, 0, 1))


def _shown(results: Sequence[BundleResult], shown: Shown = Shown(), sides: Sides = REPLAY) -> tuple[Block, ...]:
    return render_comparison("replay", results, sides, shown=shown).blocks


def _entered(path: str) -> BundleResult:
    known = {"origin": "enter_level", "cause": "program_changed"}
    before = Episode(0, "q-0900", 0, "Invoke", "Completed", 1, (json.dumps(_write("price_seen", 99.0)).encode(),))
    return _differs(
        path,
        1,
        8,
        _extra(1, "q-0910", _write("bought_at", 104.25), "bought_at", **known),
        _extra(1, "q-0910", _write("holding", True), "buy", **known),
        before_first=(before,),
    )


def _month() -> BundleResult:
    bought = [_extra(seq, f"q-{seq:04}", _order(100.0 + seq), "buy") for seq in range(129, 419)]
    return _differs(
        "captures/march.json", 292, 5000, *bought, _level(130, "q-0130", 99.5, 98.25), _level(131, "q-0131", 99.0, 98.5)
    )


def _ticket(line: tuple[RecordLine | None, RecordLine | None], **more: Any) -> BundleResult:
    log = LogDifference("T-2", 5, 4, None, None, "aa" * 32, "bb" * 32, lines=line, **more)
    path = "journals[1].records[5].event"
    found = Divergence(1, "e2", 1, DivergenceKind.JOURNAL, path, {}, {}, cause="EventMismatch", log=log)
    return _differs("captures/tickets.json", 1, 4, found)


ASKED = RecordLine("Interrupted", {"ask": "approve refund?", "amount": 900, "reason": "arrived broken", "by": "anna"})
CALLED = RecordLine("CallTool refund", {"amount": 900, "ticket": "T-2"})
PROMPT = "A customer wants 29.5 back: the parcel arrived broken and late. "

STATE = (("summary.label", "late", "delayed"), ("seen[2]", 1, None))

_REFUSAL = ReplayError(
    "replay.runtime_provenance_mismatch",
    f"the program changed since the capture: recorded 'rpv1:sha256:{'7e' * 32}', current 'rpv1:sha256:{'b6' * 32}'",
)
_FAULTS = (
    ErgoError(
        "V.1",
        'nodes.hot.params.max: must be Number, got "1e400"',
        where="graph.yaml:7:3",
        fix="write a number within ±1.8e308",
    ),
    ErgoError("V.2", "nodes.cold: unknown primitive 'smoth'", where="graph.yaml:12:5", fix="did you mean 'smooth'?"),
)

FLOW = ShownRun(
    run_id="flow_1ZE1STVZH6JR1MTYKEYHVHPR1C",
    head=94,
    status=b"{}",
    standing=Standing.FAILED,
    snapshot=None,
    interrupt=None,
    question=None,
    request=None,
    last_records=[
        RunRecord(41, "system.pipeline.drained", "system", b"{}"),
        RunRecord(9, "line", "data:price", b"{}", b'{"payload":{"cents":250}}'),
    ],
    about=[("program", "orders"), ("reason", "Stage 'till' failed: no bank"), ("failed stage", "till")],
    tables=[
        RunTable(
            ("stage", "type", "in", "out", "errors", "state"),
            [
                ("orders", "finite_source", "6", "6", "0", "completed"),
                ("price", "transform", "-", "-", "-", "cut off"),
                ("till", "sink", "3", "2", "1", "failed: no bank"),
            ],
            frozenset({"in", "out", "errors"}),
        ),
        RunTable(("contract", "state", "cause"), [("price > till", "missing", "-")]),
        RunTable(("nothing",), []),
    ],
)

SCREENS: dict[str, Callable[[], tuple[Block, ...]]] = {
    "match": lambda: _shown([_match("captures/monday.json")]),
    "matches": lambda: _shown([_match(f"c{n}.json", 300) for n in range(60)], Shown(seconds=1.94)),
    "differs": lambda: _shown([_entered("captures/monday.json")]),
    "groups": lambda: _shown([_month()]),
    "bundles": lambda: _shown([_entered(f"captures/day-{n:02}.json") for n in range(60)]),
    "list": lambda: _shown([_entered("captures/monday.json"), _match("captures/b.json")], Shown(listed=True)),
    "record": lambda: _shown([_ticket((ASKED, CALLED))]),
    "prompt": lambda: _shown(
        [
            _ticket(
                (
                    RecordLine("CallLLM assessor", {"prompt": PROMPT + "How likely is it a fraud?"}),
                    RecordLine("CallLLM assessor", {"prompt": PROMPT + "Is it a fraud?"}),
                )
            )
        ]
    ),
    "state": lambda: _shown(
        [_ticket((None, None), state=(("summary.label", "late", "delayed"), ("seen[2]", 1, None)))]
    ),
    "refused": lambda: _shown(
        [BundleResult("captures/monday.json", Outcome.REFUSED, _REFUSAL), _match("captures/tuesday.json")]
    ),
    "errors": lambda: tuple(error_lines(_FAULTS, verbose=False)),
    "error": lambda: tuple(error_lines(_FAULTS[:1], verbose=True)),
    "wide": lambda: _shown(
        [
            _differs(
                "記録/月曜.json",
                2,
                3,
                _extra(0, "注文-壱", _write("価格", "高い"), "買い"),
                _extra(1, "e\u0301t\u00e9-🎉", _write("ne\u0301", "x"), "n"),
            )
        ]
    ),
    "long": lambda: _shown([_differs("b.json", 1, 1, _extra(0, LONG, _write("key-" * 30, "value" * 60), LONG))]),
    "flow": lambda: tuple(render_run_state(FLOW).blocks),
    "levels": lambda: _shown([_scheduled()], Shown(listed=True), DIFF),
    "diff": lambda: _shown([_differs("b.json", 1, 3, _level(1, "e1", 1.5, 2.5), base="a.json")], sides=DIFF),
}


def _screen(blocks: Sequence[Block], width: int) -> list[str]:
    return [text for block in blocks for text, _ in terminal_lines(block, width)]


def _golden(name: str) -> dict[int, list[str]]:
    parts = re.split(r"^=== (\d+)\n", (GOLDEN / f"{name}.txt").read_text(), flags=re.MULTILINE)[1:]
    return {int(width): text.splitlines() for width, text in zip(parts[::2], parts[1::2], strict=True)}


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_is_as_it_was_read_through(name: str) -> None:
    golden = _golden(name)
    assert sorted(golden) == list(WIDTHS)
    for width in WIDTHS:
        assert _screen(SCREENS[name](), width) == golden[width]


@pytest.mark.parametrize("name", [name for name in SCREENS if name != "long"])
@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_screen(name: str, width: int) -> None:
    assert all(cell_width(line) <= width for line in _screen(SCREENS[name](), width))


@pytest.mark.parametrize("width", [1, 20, 60, 80, 120, 200])
def test_nothing_vanishes_at_any_width(width: int) -> None:
    """Narrow tables name their columns again for each row."""
    for name, make in SCREENS.items():
        wide, narrow = (Counter(re.sub(r"\s", "", "".join(_screen(make(), each)))) for each in (10_000, width))
        assert (name, wide - narrow) == (name, Counter())
        assert wide == narrow or name == "flow"


def test_a_long_id_stays_whole() -> None:
    for width in WIDTHS:
        assert any(LONG in line for line in _screen(SCREENS["long"](), width))


def test_columns_are_aligned_by_what_they_take_on_a_display() -> None:
    table = Table(("id", "n"), (("注文", "1"), ("e\u0301t", "10"), ("🎉", "3")), frozenset({"n"}))
    assert list(plain_lines([table])) == ["id     n", "注文   1", "e\u0301t    10", "🎉     3"]


def _narrow(table: Table, width: int) -> list[str]:
    file = io.StringIO()
    draw([table], console(file, colored=False, width=width))
    return file.getvalue().splitlines()


def test_a_last_cell_that_does_not_fit_a_terminal_stands_below_its_row() -> None:
    rows = (("1", "one two three four"), ("10", "five"))
    table = Table(("seq", "content"), rows, frozenset({"seq"}))
    assert _narrow(table, 16) == ["seq  content", "  1", "    one two", "    three four", " 10  five"]


def test_a_cell_that_is_alone_in_its_row_is_not_indented() -> None:
    assert _narrow(Table(("effect",), (("one",), ("two three",))), 8) == ["effect", "one", "two", "  three"]


def test_a_table_whose_columns_do_not_fit_a_terminal_is_one_block_a_row() -> None:
    table = Table(("id", "content", "n"), (("a", "one two three four", "1"), ("b", "five", "2")))
    assert _narrow(table, 20) == [
        *("id       a", "content  one two", "     three four", "n        1"),
        "",
        *("id       b", "content  five", "n        2"),
    ]


def test_removed_is_red_and_added_green_and_neither_without_colour() -> None:
    drawn: dict[bool, str] = {}
    for colored in (True, False):
        file = io.StringIO()
        rows = Rows((Row(("- a",), Tone.REMOVED), Row(("+ b",), Tone.ADDED), Row(("c",), Tone.FAINT)))
        draw([Line("differs", Tone.BAD), rows], console(file, colored=colored, width=80))
        drawn[colored] = file.getvalue()
    assert drawn[True] == "\x1b[1;31mdiffers\x1b[0m\n\x1b[31m- a\x1b[0m\n\x1b[32m+ b\x1b[0m\n\x1b[2mc\x1b[0m\n"
    assert "[31m" not in drawn[False]
    assert "[32m" not in drawn[False]


def test_progress_says_how_much_of_the_whole_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_PATIENCE", 0.0)
    file = io.StringIO()
    progress = terminal.EventProgress("replay", file, colored=False, done=lambda: (3, 60, "bundles"))
    with progress:
        while "3 of 60 bundles, 0 events" not in file.getvalue():
            sleep(0.01)

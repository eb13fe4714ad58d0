"""``ergo why`` followed on through memory: back over the events whose effects wrote what a node reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ergo
from tests.memory_desk import AVERAGED, COUNTED, COUNTER, EMA, SWAP, Desk


@pytest.fixture
def counter(ergo: Ergo, tmp_path: Path) -> Desk:
    """500 prices, every other one above the limit, the third of them just so; the limit was raised since."""
    desk = Desk(ergo, tmp_path, COUNTER, COUNTED)
    desk.capture({"price": 102.0 if number == 3 else 150.0 if number % 2 else 50.0} for number in range(1, 501))
    desk.edit("value: 100.0", "value: 105.0")
    return desk


def test_a_counter_of_500_events_is_followed_to_the_one_since_which_it_differs(counter: Desk) -> None:
    assert counter.lines("e500", "count") == [
        "count = 250.0",
        "  by  keep  acts  graph.yaml:15",
        "    event  tick  emitted  emit_if_true(input), :14",
        "      input  always  true  :13",
        "    value  next  250.0  add(a, b), :12",
        "      a  count  250.0  count written by event e499, :6",
        "        … 496 events the same way",
        "        written by  keep  2.0 -> 1.0  event e3, :15  <- the first that differs",
        "          event  tick  emitted  emit_if_true(input), :14",
        "          value  next  2.0 -> 1.0  add(a, b), :12",
        "            a  count  1.0  count written by event e2, :6",
        "            b  gain  1.0 -> 0.0  select(cond, when_true, when_false), :11",
        "              cond  high  true -> false  gt(a, b), :10",
        "                a  price  102.0  price of the payload, :5",
        "                b  limit  100.0 -> 105.0  :7  <- the change",
        "              when_true  one  1.0  :8",
        "              when_false  zero  0.0  :9",
        "      b  gain  0.0  select(cond, when_true, when_false), :11",
        "        cond  high  false  gt(a, b), :10",
        "          a  price  50.0  price of the payload, :5",
        "          b  limit  100.0 -> 105.0  :7  <- the change",
        "        when_true  one  1.0  :8",
        "        when_false  zero  0.0  :9",
    ]


def test_the_report_has_the_event_of_every_step(counter: Desk) -> None:
    chain = counter.chain("e500", "count")
    [_, value] = chain["sources"]
    [member, _] = value["sources"]
    assert (member["part"], member["event"], member["alike"]) == ("count", None, 496)
    assert member["written_by"] == {"event_id": "e499", "seq": 498}
    [write] = member["sources"]
    assert (write["part"], write["role"], write["recorded"], write["today"]) == ("keep", "written by", "2.0", "1.0")
    assert (write["event"], write["is_parting"], write["differs"]) == ({"event_id": "e3", "seq": 2}, True, True)
    assert {source["event"]["event_id"] for source in write["sources"]} == {"e3"}
    [earlier, _] = write["sources"][1]["sources"]
    assert (earlier["written_by"], earlier["sources"]) == ({"event_id": "e2", "seq": 1}, [])


def test_depth_counts_across_the_events(counter: Desk) -> None:
    assert counter.lines("e500", "count", "--depth", "3") == [
        "count = 250.0",
        "  by  keep  acts  graph.yaml:15",
        "    event  tick  emitted  emit_if_true(input), :14",
        "      input  always  true  :13",
        "    value  next  250.0  add(a, b), :12",
        "      a  count  250.0  count written by event e499, :6",
        "        … 496 events the same way",
        "        written by  keep  2.0 -> 1.0  event e3, :15  <- the first that differs",
        "      b  gain  0.0  select(cond, when_true, when_false), :11",
        "        cond  high  false  gt(a, b), :10",
        "        when_true  one  1.0  :8",
        "        when_false  zero  0.0  :9",
    ]


def test_a_picture_names_the_earlier_event(counter: Desk) -> None:
    drawn = counter.ran("e500", "count", "--as", "mermaid").stdout
    [box] = [line for line in drawn.splitlines() if "2.0 -#62; 1.0" in line and "keep" in line]
    assert box.endswith('(["keep<br/>event e3<br/>2.0 -#62; 1.0<br/>graph.yaml:15<br/>the first that differs"])')
    assert sum("high<br/>" in line for line in drawn.splitlines()) == 2
    assert "written by#44; #8230; 496 events the same way" in drawn


def test_without_the_texts_of_the_capture_the_event_is_found_all_the_same(counter: Desk, tmp_path: Path) -> None:
    lines = counter.lines("e500", "count", XDG_DATA_HOME=str(tmp_path / "elsewhere"))
    assert "        … 496 events the same way" in lines
    assert "        written by  keep  2.0 -> 1.0  event e3, :15  <- the first that differs" in lines
    assert "            b  gain  0.0  select(cond, when_true, when_false), :11" in lines


def test_where_nothing_differs_the_chain_ends_at_what_nothing_set(counter: Desk) -> None:
    counter.edit("value: 105.0", "value: 100.0")
    lines = counter.lines("e500", "count")
    assert lines[6:8] == ["        … 498 events the same way", "        written by  keep  1.0  event e1, :15"]
    assert "            a  count  0.0  count not set yet, :6" in lines


def test_where_the_event_itself_differs_its_memory_is_followed_no_further(counter: Desk) -> None:
    assert "      a  count  1.0  count written by event e2, :6" in counter.lines()
    assert not any("written by  keep" in line for line in counter.lines())


def test_a_member_that_the_payload_brought_ends_the_chain(ergo: Ergo, tmp_path: Path) -> None:
    desk = Desk(ergo, tmp_path, COUNTER, COUNTED)
    desk.capture([{"price": 150.0}, {"price": 150.0, "count": 40.0}, {"price": 150.0}])
    lines = desk.lines("e3", "count")
    assert lines[0] == "count = 42.0"
    assert "      a  count  41.0  count written by event e2, :6" in lines
    assert "        written by  keep  41.0  event e2, :15" in lines
    assert "            a  count  40.0  count of the payload, :6" in lines
    assert not any("e1" in line for line in lines)


def test_an_average_is_followed_to_the_price_that_was_capped(ergo: Ergo, tmp_path: Path) -> None:
    """Averages of 8, 4, 2, 2: 4.0, 4.0, 3.0, 2.5; the first is 3.0 where prices are capped at 6."""
    desk = Desk(ergo, tmp_path, EMA, AVERAGED)
    desk.capture([{"price": price} for price in (8.0, 4.0, 2.0, 2.0)])
    desk.edit("value: 100.0", "value: 6.0")
    lines = desk.lines("e4", "warned")
    assert lines[:8] == [
        "warned = true",
        "  by  warn  acts  graph.yaml:15",
        "    event  warned  emitted  emit_if_true(input), :14",
        "      input  low  true  lt(a, b), :13",
        "        a  before  3.0  average written by event e3, :6",
        "          written by  keep  3.0  event e3, :18",
        "            event  tick  emitted  emit_if_true(input), :17",
        "              input  always  true  :16",
    ]
    at = lines.index("                a  before  4.0  average written by event e2, :6")
    assert lines[at + 1 : at + 3] == [
        "                  … 1 event the same way",
        "                  written by  keep  4.0 -> 3.0  event e1, :18  <- the first that differs",
    ]
    assert "b  cap  100.0 -> 6.0  :7  <- the change" in [line.strip() for line in lines[at + 3 :]]


def steps(step: dict[str, Any]) -> int:
    return 1 + sum(map(steps, step["sources"]))


def test_members_that_change_places_are_followed_for_a_hundred_steps(ergo: Ergo, tmp_path: Path) -> None:
    desk = Desk(ergo, tmp_path, SWAP, {"a": "Number", "b": "Number"})
    desk.capture([{"a": 1.0, "b": 2.0}, *({} for _ in range(299))])
    lines = desk.lines("e300", "a")
    assert lines[0] == "a = 1.0"
    assert "      written by  to_b  1.0  event e299, :10" in lines
    assert 100 <= steps(desk.chain("e300", "a")) <= 110


def test_deferred_work_reads_what_was_written_before_its_event_came(ergo: Ergo, tmp_path: Path) -> None:
    """Both e1 and e3 write 1.0; e2 came between them, and is served behind them."""
    desk = Desk(ergo, tmp_path, COUNTER, COUNTED)
    desk.edit("next: { impl: add@0.1.0 }", "next: { impl: max@0.1.0 }")
    tick = {"type": "DataAvailable", "semantic_kind": "tick", "payload": {"price": 150.0}}
    times = {"e1": "0s", "e2": "1s", "e3": "20s"}
    events = [{**tick, "id": name, "at": at} for name, at in times.items()]
    pump = {**tick, "type": "Pump", "id": "p", "at": "40s"}
    desk.capture_events([*events, pump], "--max-per-window", "1", "--rate-window", "10s")
    lines = desk.lines("p", "count")
    assert any("count written by event e1" in line for line in lines)
    assert not any("e3" in line for line in lines)


def test_the_documentation_shows_such_a_chain(counter: Desk) -> None:
    text = (Path(__file__).parents[2] / "docs" / "reports.md").read_text()
    [screen] = [block for block in text.split("```") if block.startswith("\ncount = 250.0\n")]
    assert screen.strip().splitlines() == counter.lines("e500", "count")[:15]

"""The chain of ``ergo why`` as a picture, of any kind of program: every part once, nothing of a name acts."""

from __future__ import annotations

import re

import pytest

from ergo_cli.programs.causes import Cause
from ergo_cli.programs.pictures import Picture, Standing
from ergo_cli.replay.reasons import Why, Written
from ergo_cli.report.picture_dot import picture_to_dot
from ergo_cli.report.picture_mermaid import picture_to_mermaid
from ergo_cli.report.why_picture import picture_of_chain
from tests.report.test_pictures import HOSTILE, UNDRAWABLE


def why(cause: Cause, **more: object) -> Why:
    return Why("e1", 0, 0, cause.part, (), (), cause, {}, knows_capture=True, **more)  # pyright: ignore[reportArgumentType]


def names(picture: Picture) -> list[str]:
    return [node.name for node in picture.nodes]


def ways(picture: Picture) -> set[tuple[str, str, str]]:
    name = {node.id: node.name for node in picture.nodes}
    return {(name[str(edge.source)], name[str(edge.target)], edge.note) for edge in picture.edges}


PRICE = Cause(part="price", recorded="1.0", today="1.0")


def test_a_part_that_several_steps_need_is_drawn_once() -> None:
    sum_ = Cause(part="sum", recorded="2.0", today="2.0", sources=(PRICE,))
    again = Cause(part="sum", role="b", recorded="2.0", today="2.0", is_repeated=True)
    end = Cause(part="end", recorded="x", today="y", sources=(sum_, again, PRICE))
    picture = picture_of_chain(why(end))
    assert names(picture) == ["end", "sum", "price"]
    assert ways(picture) == {("sum", "end", ""), ("sum", "end", "b"), ("price", "sum", ""), ("price", "end", "")}


def test_a_part_that_is_met_before_it_is_followed_is_drawn_once() -> None:
    bare = Cause(part="sum", role="a", recorded="2.0", today="2.0")
    followed = Cause(part="sum", role="b", recorded="2.0", today="2.0", sources=(PRICE,))
    picture = picture_of_chain(why(Cause(part="end", sources=(bare, followed))))
    assert names(picture) == ["end", "sum", "price"]


def test_a_member_at_two_times_is_drawn_twice_so_that_no_way_leads_in_a_circle() -> None:
    first = Cause(part="plan", recorded="1", today="1", made="first state")
    record = Cause(part="record 2", role="written by", recorded="r", today="r", sources=(first,))
    later = Cause(part="plan", recorded="2", today="2", sources=(record,))
    picture = picture_of_chain(why(Cause(part="record 5", sources=(later,))))
    assert names(picture) == ["record 5", "plan", "record 2", "plan"]
    assert len(picture.edges) == 3


def test_parts_of_other_events_are_other_parts() -> None:
    earlier = Cause(part="buy", role="written by", recorded="a", today="a", episode=0, sources=(PRICE,))
    picture = picture_of_chain(
        why(Cause(part="sell", sources=(PRICE, earlier)), episodes={0: Written("e0", 0)}),
    )
    assert names(picture) == ["sell", "price", "buy", "price"]
    assert "event e0" in picture.nodes[2].notes


def test_the_way_to_the_change_stands_out() -> None:
    level = Cause(part="level", role="b", recorded="1.0", today="2.0", is_change=True)
    end = Cause(part="end", recorded="x", today="y", sources=(PRICE, level))
    picture = picture_of_chain(why(end))
    assert [node.standing for node in picture.nodes] == [Standing.DIFFERS, Standing.SAME, Standing.CHANGE]
    assert [edge.standing for edge in picture.edges] == [Standing.SAME, Standing.CHANGE]
    assert "  linkStyle 1 stroke:#b71c1c,stroke-width:2px" in picture_to_mermaid(picture).splitlines()
    assert '  "s2" -> "s0" [label="b", color="#b71c1c", penwidth=2]' in picture_to_dot(picture).splitlines()


def test_a_wire_that_is_another_is_marked_at_the_way_and_not_at_the_part() -> None:
    low = Cause(part="low", role="a", recorded="1", today="2", rewired="was high.value", is_change=True)
    picture = picture_of_chain(why(Cause(part="end", recorded="x", today="y", sources=(low,))))
    assert [node.standing for node in picture.nodes] == [Standing.DIFFERS, Standing.SAME]
    [edge] = picture.edges
    assert (edge.standing, edge.note.startswith("a: 1 -> 2, was high.value")) == (Standing.CHANGE, True)


def test_depth_bounds_the_picture() -> None:
    chain = Cause(part="c", sources=(Cause(part="b", sources=(Cause(part="a"),)),))
    assert names(picture_of_chain(why(chain), 1)) == ["c", "b"]


@pytest.mark.parametrize("name", [HOSTILE, UNDRAWABLE, 'one\n"]; evil -> two\nend', "<b>&lt;i</b>"])
def test_nothing_of_a_name_or_a_value_acts(name: str) -> None:
    source = Cause(part=name, role=name, recorded=name, today=f"{name}!", made=name, file=f"{name}.yaml", line=3)
    picture = picture_of_chain(why(Cause(part=name, recorded=name, today=name, sources=(source,))))
    mermaid, dot = picture_to_mermaid(picture), picture_to_dot(picture)
    for label in re.findall(r'"([^"]*)"', mermaid):
        assert re.fullmatch(r"(?:[\w ./:@→-]|#\d+;|<br/>)*", label)
    assert not re.search(r"evil|script|<b>", re.sub(r'"[^"]*"', "", mermaid))
    assert not re.search(r"evil|script|<b>", re.sub(r'"(?:[^"\\]|\\.)*"', "", dot))
    assert len(re.findall(r'(?<!\\)(?:\\\\)*"', dot)) % 2 == 0

"""Events made by callers: whatever they hold is copied or refused, before anything sees it."""

from __future__ import annotations

import math
from datetime import datetime
from enum import IntEnum
from typing import Any

import pytest

from ergo_cli import EpisodeStart, EventKind, HostedEvent, Items, LibraryError, RunConfig, RunError, StepError
from tests.library.worlds import MECHANICAL, assets, in_memory, tick_run, ticks
from tests.support.events import tick


class Level(IntEnum):
    LOW = 3


class Whole(int):
    pass


class Name(str):
    def __str__(self) -> str:
        return "somebody else"


def command(payload: Any, event_id: Any = "e", at: Any = 0, kind: Any = EventKind.COMMAND) -> HostedEvent:
    return HostedEvent(event_id, kind, at, None, payload)


def stepped(event: HostedEvent) -> bytes:
    """The payload that is recorded of an event."""
    config = RunConfig(assets(MECHANICAL), Items("none", [command(None)]))
    with in_memory(p=config).runner_for_profile("p") as runner:
        runner.step(event)
        return runner.finish().events[0].payload


def endless() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


def deep() -> list[Any]:
    items: list[Any] = []
    for _ in range(200):
        items = [items]
    return items


REFUSED = {
    "NaN": command({"x": math.nan}),
    "infinity": command({"x": [1.0, -math.inf]}),
    "an object": command({"x": object()}),
    "bytes": command({"x": b"x"}),
    "a set": command({"x": {1, 2}}),
    "a time": command({"x": datetime(2026, 1, 1)}),
    "a large integer": command({"x": 2**64}),
    "a small integer": command({"x": -(2**63) - 1}),
    "half a character": command({"x": "\ud800"}),
    "half a character in a name": command({"\ud800": 1}),
    "a name that is a number": command({1: "x"}),
    "itself": command({"x": endless()}),
    "too deep": command({"x": deep()}),
    "an id that is no text": command({}, event_id=7),
    "half a character in the id": command({}, event_id="\ud800"),
    "a negative time": command({}, at=-1),
    "a time out of range": command({}, at=10**40),
    "a broken time": command({}, at=1.5),
    "no time": command({}, at=None),
    "no kind": command({}, kind="Zed"),
}


@pytest.mark.parametrize("event", REFUSED.values(), ids=REFUSED)
def test_what_is_no_json_is_refused_and_leaves_no_trace(event: HostedEvent) -> None:
    config = RunConfig(assets(MECHANICAL), Items("none", [command(None)]))
    with in_memory(p=config).runner_for_profile("p") as runner:
        with pytest.raises(StepError) as caught:
            runner.step(event)
        assert (caught.value.category, caught.value.is_recoverable) == ("event_build", True)
        assert caught.value.fix
        runner.step(command({}))
        assert len(runner.finish().events) == 1


@pytest.mark.parametrize("event", REFUSED.values(), ids=REFUSED)
def test_a_list_of_events_is_held_to_the_same(event: HostedEvent) -> None:
    config = RunConfig(assets(MECHANICAL), Items("list", [command(None, "first"), event]))
    with pytest.raises(RunError) as caught:
        in_memory(p=config).run_profile("p")
    assert (caught.value.category, caught.value.code) == ("ingress", "driver.input_invalid")
    assert str(caught.value.where).startswith("list:2:")


def test_subclasses_count_as_what_they_are() -> None:
    payload = {"level": Level.LOW, "whole": Whole(7), Name("name"): Name("nobody"), "pair": (1.5, True, None)}
    expected = b'{"level":3,"name":"nobody","pair":[1.5,true,null],"whole":7}'
    assert stepped(command(payload)) == expected


def test_integers_at_the_edge_and_negative_zero_stay_what_they_are() -> None:
    payload = {"a": 2**64 - 1, "b": -(2**63), "c": -0.0, "d": 1e20}
    assert stepped(command(payload)) == b'{"a":18446744073709551615,"b":-9223372036854775808,"c":-0.0,"d":1e20}'


def test_a_payload_changed_later_changes_nothing() -> None:
    payload: dict[str, Any] = {"x": 1.0}
    with in_memory(p=tick_run(ticks(1))).runner_for_profile("p") as runner:
        outcome = runner.step(HostedEvent("a", EventKind.COMMAND, 0, "tick", payload))
        payload["x"] = math.nan
        snapshot = runner.context_snapshot()
        snapshot["y"] = "changed"
        runner.step(tick("b", 2.0))
        assert runner.context_snapshot() == {"y": 2.0}
        assert runner.finish().events[0].payload == b'{"x":1.0}'
    assert [write.value.native for write in outcome.applied_writes] == [1.0]


def test_a_payload_that_is_no_object_is_a_fault_of_the_payload_first() -> None:
    with in_memory(p=tick_run(ticks(1))).runner_for_profile("p") as runner, pytest.raises(StepError) as caught:
        runner.step(command([1]))
    assert (caught.value.name, caught.value.category) == ("PayloadMustBeObject", "input")


def test_episodes_of_a_list() -> None:
    items = [EpisodeStart("morning"), *ticks(2), EpisodeStart(None), tick("last")]
    summary = in_memory(p=tick_run(items)).run_profile("p").summary
    assert summary.episode_event_counts == (("morning", 2), ("E2", 1))
    assert (summary.episodes, summary.events) == (2, 3)


def test_what_is_neither_event_nor_episode_is_told_by_its_number() -> None:
    items: list[Any] = [tick("a"), {"type": "Command"}]
    with pytest.raises(RunError, match="a dict is neither an event") as caught:
        in_memory(p=tick_run(items)).run_profile("p")
    assert caught.value.where == "ticks:2:1"


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([tick("a"), tick("a")], "fixture.duplicate_event_id"),
        ([tick("a"), command({"x": 1.0}, "b")], "fixture.semantic_kind_missing"),
        ([tick("a"), EpisodeStart("empty")], "driver.input_invalid"),
    ],
)
def test_a_list_takes_the_way_of_a_file(items: list[Any], code: str) -> None:
    ergo = in_memory(p=tick_run(items))
    for act in (lambda: ergo.run_profile("p"), ergo.validate_project):
        with pytest.raises(LibraryError) as caught:
            act()
        assert caught.value.code == code

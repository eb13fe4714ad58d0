"""Random pipelines: topologies of all kinds of stages, handlers that drop, double, mark and fail, their payloads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct

from ergo_cli.programs.pipeline import (
    Delivery,
    Event,
    HandlerError,
    NotDelivered,
    PipelineProgram,
    inner,
    join,
    left,
    sink,
    source,
    stateful,
    transform,
)

Wrap = Callable[[str, Any], Any]
"""Makes another handler of one: the name of its stage, the handler."""


class Plan(Struct, frozen=True):
    """What a pipeline is made of: its sources' payloads, and each stage with its upstream stages and its habit."""

    feeds: dict[str, list[int]]
    stages: list[tuple[str, str, list[str], int]]


@st.composite
def plans(draw: st.DrawFn, *, widest: int = 3) -> Plan:
    """A pipeline of one to three sources, up to five stages behind them, and sinks for all that no other stage reads.

    Names are in random order, since the order of inputs is that of names. Stages but joins have ``widest`` inputs at
    most.
    """
    letters = draw(st.permutations("abcdefghijklmnop"))
    name = iter(letters).__next__
    feeds = {name(): draw(st.lists(st.integers(0, 20), max_size=6)) for _ in range(draw(st.integers(1, 3)))}
    open_ends, names = list(feeds), list(feeds)
    stages: list[tuple[str, str, list[str], int]] = []
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["transform", "stateful", "join"] if len(names) > 1 else ["transform", "stateful"]))
        size = 2 if kind == "join" else draw(st.integers(1, min(widest, len(names))))
        upstream = draw(st.lists(st.sampled_from(names), min_size=size, max_size=size, unique=True))
        stages.append((kind, name(), upstream, draw(st.integers(0, 6))))
        open_ends = [each for each in open_ends if each not in upstream] + [stages[-1][1]]
        names.append(stages[-1][1])
    while open_ends:
        size = draw(st.integers(1, min(widest, len(open_ends))))
        read, open_ends = open_ends[:size], open_ends[size:]
        more = draw(st.lists(st.sampled_from([each for each in names if each not in read] or read), max_size=1))
        upstream = list(dict.fromkeys([*read, *more]))[:widest]
        stages.append(("sink", name(), upstream, draw(st.integers(0, 3))))
    return Plan(feeds, stages)


def program_of(plan: Plan, wrap: Wrap = lambda _stage, handler: handler) -> PipelineProgram:
    """The program of a plan; every handler that gets events is wrapped."""
    made: list[Any] = [source(name) for name in plan.feeds]
    for kind, name, upstream, habit in plan.stages:
        match kind:
            case "transform":
                made.append(transform(name, wrap(name, processing(name, habit))))
            case "stateful":
                made.append(gathering(name, habit, wrap))
            case "join":
                match_by = (left if habit % 2 else inner)(upstream[0], key, key, combined(name))
                made.append(join(name, *upstream, wrap(name, match_by)))
            case _:
                made.append(sink(name, wrap(name, consuming(habit))))
    edges = tuple((each, name) for _, name, upstream, _ in plan.stages for each in upstream)
    return PipelineProgram("random", tuple(made), edges)


def number(event: Event) -> int:
    return int(str(event.payload).partition("-")[0])


def key(event: Event) -> int:
    return number(event) % 4


def processing(name: str, habit: int) -> Callable[[Event], list[Event]]:
    def process(event: Event) -> list[Event]:
        out = Event(name, f"{event.payload}-{name}")
        match (number(event) + habit) % 7:
            case 0:
                return []
            case 1:
                return [out, out]
            case 2:
                raise HandlerError("late", "Timeout")
            case 3:
                raise HandlerError("unfit", "Validation")
            case 4:
                return [out.failed("doubtful", "Domain")]
            case _:
                return [out]

    return process


def gathering(name: str, habit: int, wrap: Wrap) -> Any:
    def accumulate(state: list[str], event: Event) -> None:
        if number(event) == habit:
            raise HandlerError("not this one", "Validation")
        state.append(str(event.payload))

    def emit(state: list[str]) -> list[Event]:
        return [Event(name, f"{len(state)}-{'/'.join(state[-3:])}-{name}")]

    return stateful(
        name,
        list,
        wrap(name, accumulate),
        emit,
        should_emit=lambda state: habit > 0 and len(state) % (habit + 1) == 0,
    )


def combined(name: str) -> Callable[[Event | None, Event], Event]:
    return lambda row, event: Event(name, f"{event.payload}-{None if row is None else row.payload}-{name}")


def consuming(habit: int) -> Callable[[Event], Delivery | None]:
    def consume(event: Event) -> Delivery | None:
        match (number(event) + habit) % 5:
            case 0:
                raise HandlerError("away", "Remote")
            case 1:
                return Delivery(NotDelivered(error_type="bad", error_message="no"))
            case _:
                return None

    return consume

"""Random pipelines: topologies of all kinds of stages, their payloads, handlers that drop, double, mark, act and fail.

Effects are performed by transforms, by what stateful stages emit, and by sinks; some of them fail. Joins also give
outputs at an EOF and at their end, sinks a receipt when they are flushed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct

from ergo_cli.programs.pipeline import (
    Delivery,
    EffectCall,
    EffectFailed,
    Effects,
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
                reference, stream = upstream
                match_by = wrap(name, (left if habit % 2 else inner)(reference, key, key, combined(name)))
                at_eof, last = closing(name, habit)
                made.append(join(name, reference, stream, match_by, on_source_eof=wrap(name, at_eof), drain=last))
            case _:
                flush = Delivery if habit == 1 else None
                made.append(sink(name, wrap(name, consuming(habit)), flush=flush))
    edges = tuple((each, name) for _, name, upstream, _ in plan.stages for each in upstream)
    return PipelineProgram("random", tuple(made), edges, effects={"look": look})


def number(event: Event) -> int:
    return int(str(event.payload).partition("-")[0])


def look(given: Any, call: EffectCall) -> Any:
    if given % 3 == 1:
        raise EffectFailed("dark", f"nothing to see at {given}")
    return [given, call.effect_type]


def key(event: Event) -> int:
    return number(event) % 4


def processing(name: str, habit: int) -> Callable[..., list[Event]]:
    def process(event: Event, effects: Effects) -> list[Event]:
        out = Event(name, f"{event.payload}-{name}")
        match (number(event) + habit) % 9:
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
            case 5:
                return [Event(name, f"{event.payload}-{effects.perform('look', number(event))}")]
            case 6:
                seen = [effects.perform("look", 3 * number(event)) for _ in range(2)]
                return [Event(name, f"{event.payload}-{seen}"), out]
            case _:
                return [out]

    return process


def gathering(name: str, habit: int, wrap: Wrap) -> Any:
    def accumulate(state: list[str], event: Event) -> None:
        if number(event) == habit:
            raise HandlerError("not this one", "Validation")
        state.append(str(event.payload))

    def emit(state: list[str], effects: Effects) -> list[Event]:
        if habit % 2:
            effects.perform("look", 3 * len(state))
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


def closing(name: str, habit: int) -> tuple[Callable[..., list[Event]], Callable[..., list[Event]]]:
    """What a join gives at an EOF of its inputs, and at its end."""

    def at_eof(rows: dict[int, Event], upstream: str, _writer: object) -> list[Event]:
        return [Event(name, f"{len(rows)}-{upstream}-{name}")] if habit % 3 == 1 else []

    def last(rows: dict[int, Event], effects: Effects) -> list[Event]:
        return [Event(name, f"{len(rows)}-{effects.perform('look', 0)}-{name}")] if habit % 3 == 2 else []

    return at_eof, last


def consuming(habit: int) -> Callable[..., Delivery | None]:
    def consume(event: Event, effects: Effects) -> Delivery | None:
        match (number(event) + habit) % 6:
            case 0:
                raise HandlerError("away", "Remote")
            case 1:
                return Delivery(NotDelivered(error_type="bad", error_message="no"))
            case 2:
                effects.perform("look", number(event))
                return None
            case _:
                return None

    return consume

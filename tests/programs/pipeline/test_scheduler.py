"""Ergo's driver: rest, order, forms of handlers, and what handlers must not give (spec 60 §23.2)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_flows import Driven, data, pipeline, results

from ergo_cli.programs.pipeline import scheduler
from ergo_cli.programs.pipeline.authoring import EOF, Event, StrictMiss, join, sink, source, stateful, transform
from ergo_cli.programs.pipeline.chain_events import Data
from ergo_cli.programs.pipeline.errors import PipelineError
from ergo_cli.programs.pipeline.system_events import TERMINAL_FACTS, PipelineLifecycle


def deliver(event: Event) -> None:
    """Consume an event with an ordinary receipt."""


def terminal_facts(driven: Driven) -> int:
    facts = [event.event for event in driven.system()]
    return sum(isinstance(fact, PipelineLifecycle) and isinstance(fact.fact, TERMINAL_FACTS) for fact in facts)


def test_an_episode_ends_at_rest() -> None:
    """After each event every stage has read everything before it."""
    program = pipeline(source("src"), transform("tr", lambda event: [event, event]), sink("snk", deliver))
    driven = Driven(program)
    driven.scheduler.begin()
    for count in (1, 2, 3):
        driven.scheduler.admit(count)
        assert len(results(driven.events("snk"))) == 2 * count


def test_a_flow_that_does_not_come_to_rest_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "PASS_LIMIT", 20)
    driven = Driven(pipeline(source("src", lambda payload: [Event("d", n) for n in range(30)]), sink("snk", deliver)))
    driven.scheduler.begin()
    with pytest.raises(PipelineError) as caught:
        driven.scheduler.admit(None)
    assert caught.value.code == "pipeline.not_quiescent"
    assert driven.last_facts() == ["system.pipeline.failed", "system.pipeline.drained"]
    assert terminal_facts(driven) == 1


def test_async_handlers_are_driven_to_their_end() -> None:
    order: list[str] = []

    async def process(event: Event) -> list[Event]:
        order.append("before")
        await asyncio.sleep(0)
        order.append("after")
        return [event]

    async def consume(event: Event) -> None:
        order.append("consumed")

    Driven(pipeline(source("src"), transform("tr", process), sink("snk", consume))).all(1, 2)
    assert order == ["before", "after", "consumed"] * 2


def test_what_a_handler_changes_afterwards_changes_no_record() -> None:
    """Payloads are copied on the way in and on the way out: readers of one event do not see each other's changes."""
    kept: list[Any] = []

    def process(event: Event) -> list[Event]:
        event.payload["seen"] = True
        made = {"list": [1]}
        kept.append(made)
        return [Event("out", made)]

    def consume(event: Event) -> None:
        kept[-1]["list"].append(2)
        event.payload.clear()

    program = pipeline(
        source("src"),
        transform("tr", process),
        sink("snk", consume),
        sink("other", consume),
        edges="src>tr tr>snk tr>other src>other",
    )
    driven = Driven(program).all({"n": 1})
    assert data(driven.events("src")) == [{"n": 1}]
    assert data(driven.events("tr")) == [{"list": [1]}]


@pytest.mark.parametrize(
    "given_back",
    ["text", 5, [5], [None], [EOF()], [StrictMiss(1)], [Event("out", float("nan"))], [Event("out", {1: 2})]],
    ids=str,
)
def test_an_output_that_is_none_fails_the_stage(given_back: Any) -> None:
    driven = Driven(pipeline(source("src"), transform("tr", lambda event: given_back), sink("snk", deliver))).all(1)
    assert driven.facts("tr")[-1].startswith("failed: dispatch_state error in Running: ")
    assert terminal_facts(driven) == 1


def test_an_output_after_the_eof_of_a_source_fails_it() -> None:
    program = pipeline(source("src", lambda payload: [EOF(), Event("d", 1)]), sink("snk", deliver))
    driven = Driven(program).all(1)
    assert driven.facts("src")[-1].endswith("gave an output after EOF")


def test_a_handler_that_gives_nothing_gives_no_outputs() -> None:
    driven = Driven(pipeline(source("src"), transform("tr", lambda event: None), sink("snk", deliver))).all(1)
    assert data(driven.events("tr")) == []
    assert driven.last_facts()[0] == "system.pipeline.completed"


def test_a_handler_that_exits_fails_its_stage() -> None:
    def process(event: Event) -> list[Event]:
        raise SystemExit(3)

    driven = Driven(pipeline(source("src"), transform("tr", process), sink("snk", deliver))).all(1)
    assert "SystemExit" in driven.facts("tr")[-1]


def test_a_flow_whose_sources_all_end_is_complete_before_it_is_closed() -> None:
    driven = Driven(pipeline(source("src", lambda payload: [Event("d", 1), EOF()]), sink("snk", deliver)))
    driven.scheduler.begin()
    driven.scheduler.admit(None)
    assert driven.state == "Drained"
    assert driven.last_facts() == ["system.pipeline.completed", "system.pipeline.drained"]


def test_an_infinite_source_ends_when_the_flow_is_closed() -> None:
    driven = Driven(pipeline(source("src", infinite=True), sink("snk", deliver))).all(1, 2)
    assert "control.source_contract" not in driven.names("src")
    assert driven.last_facts()[0] == "system.pipeline.completed"


NAMES = ("a", "b", "c")


@st.composite
def flows(draw: st.DrawFn) -> tuple[Any, list[Any]]:
    """Sources, a chain of processors behind each, maybe a join of the first two, one sink; and payloads."""
    sources = NAMES[: draw(st.integers(1, 3))]
    stages: list[Any] = [source(name) for name in sources]
    edges: list[str] = []
    ends: list[str] = []
    for name in sources:
        end = name
        for number in range(draw(st.integers(0, 2))):
            stage = f"{name}{number}"
            copies = draw(st.integers(0, 2))
            if draw(st.booleans()):
                stages.append(transform(stage, lambda event, copies=copies: [Event("t", event.payload)] * copies))
            else:
                stages.append(
                    stateful(
                        stage,
                        list,
                        lambda state, event: state.append(event.payload),
                        lambda state: [Event("s", len(state))],
                        should_emit=lambda state, copies=copies: copies > 0 and len(state) % copies == 0,
                    )
                )
            edges.append(f"{end}>{stage}")
            end = stage
        ends.append(end)
    if len(ends) > 1 and draw(st.booleans()):
        handler = lambda rows, event, upstream, writer: [Event("j", [upstream, event.payload])]  # noqa: E731
        stages.append(join("joined", ends[0], ends[1], handler, live=draw(st.booleans())))
        edges += [f"{ends[0]}>joined", f"{ends[1]}>joined"]
        ends = ["joined", *ends[2:]]
    stages.append(sink("snk", deliver))
    edges += [f"{end}>snk" for end in ends]
    payloads = draw(
        st.lists(st.builds(lambda name, n: {"source": name, "n": n}, st.sampled_from(sources), st.integers(0, 9)))
    )
    return pipeline(*stages, edges=" ".join(edges)), payloads


@given(flows(), st.booleans())
def test_every_flow_completes_with_all_its_data(flow: tuple[Any, list[Any]], interrupted: bool) -> None:
    """Every topology: one terminal fact, every reader has read what was written, twice the same records."""
    program, payloads = flow
    driven = Driven(program).all(*payloads, interrupted=interrupted)
    assert driven.state == "Drained"
    assert terminal_facts(driven) == 1
    assert driven.last_facts()[0] == f"system.pipeline.{'cancelled' if interrupted else 'completed'}"
    feeding = [upstream for upstream, reader in program.edges if reader == "snk"]
    written = sum(isinstance(event.content, Data) for name in feeding for event in driven.events(name))
    assert len(results(driven.events("snk"))) == written
    assert all(driven.facts(stage.name) == ["running", "completed"] for stage in program.stages)
    assert Driven(program).all(*payloads, interrupted=interrupted).records == driven.records

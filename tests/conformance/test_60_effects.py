"""Spec 60, checklist lines of effects: C-104, C-105, and the table of §21."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from pipeline_flows import Driven, data, pipeline, results

from ergo_cli.core import wire
from ergo_cli.programs.pipeline.authoring import Event, sink, source, transform
from ergo_cli.programs.pipeline.chain_events import Data
from ergo_cli.programs.pipeline.effects import (
    EFFECT_ATTEMPT,
    EFFECT_EVENTS,
    EFFECT_RECORD,
    AttemptStarted,
    Cursor,
    EffectFailed,
    EffectRecord,
    EffectType,
    FailedOutcome,
    RecordedHistory,
    Retry,
    Safety,
    Succeeded,
    SucceededFact,
    canonical_hash,
)

VECTOR = Cursor("flow_01KB3V7Q0W000000000000F10W", "gateway", 7, 0)


def test_c60_104_the_vectors_of_hashes_and_ids() -> None:
    value = {"b": [1, 2.5, {"y": None, "x": True}], "a": "é"}
    assert canonical_hash(value) == "9a64061fff3d710835ad8281764a8371693e694910d921bef520f28bddf59c79"
    assert VECTOR.group_id == "effect-outcome:v1:31:flow_01KB3V7Q0W000000000000F10W:7:gateway:7:0"
    assert VECTOR.output_id(0) == "0E3C8MR06FXB5P3VK0FWW1TYW6"
    assert VECTOR.record_id(EFFECT_RECORD) == "19WB8JGH0H7WT19CQDXNM81SKM"
    assert VECTOR.event_time == 7000
    assert replace(VECTOR, input_seq=2**64 - 1).event_time == 2**64 - 1


class World:
    """What an executor acts on: it notes every call, and fails for an order of 13."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def charge(self, given: Any, call: Any) -> Any:
        self.calls.append((given, call.key))
        if given["id"] == 13:
            raise EffectFailed("refused", "no credit", retryable=True)
        if given["id"] == 14:
            raise ValueError("broken")
        return {"charged": given["id"]}


def charging(
    world: World, safety: Safety = Safety.IDEMPOTENT, *, key: str | None = "k", note: int = 0, schema_version: int = 1
) -> Any:
    """A transform that charges every order; ``note`` changes what it asks for."""

    def process(event: Event, effects: Any) -> list[Event]:
        asked = {"id": event.payload["id"], **({"note": note} if note else {})}
        return [Event("charged", effects.perform("charge", asked, key=key))]

    return pipeline(
        source("src"),
        transform("tr", process),
        sink("snk", lambda event: None),
        effects={"charge": EffectType(world.charge, safety, schema_version)},
    )


def recorded(driven: Driven, name: str = "tr") -> list[EffectRecord]:
    """The effect records of a stage, in order."""
    rows = [event for event in driven.events(name) if event.event_type in EFFECT_EVENTS]
    return [wire.read(row.content.payload, EffectRecord) for row in rows if isinstance(row.content, Data)]


def fault_of(driven: Driven) -> str:
    """What the transform failed with."""
    assert driven.last_facts()[0] == "system.pipeline.failed"
    return driven.facts("tr")[-1]


def test_an_effect_is_performed_inside_the_call_and_recorded_before_it_returns() -> None:
    world = World()
    driven = Driven(charging(world)).all({"id": 1}, {"id": 2})
    assert world.calls == [({"id": 1}, "k"), ({"id": 2}, "k")]
    assert driven.names("tr")[1:4] == [EFFECT_RECORD, "charged", "control.consumption_progress"]
    first, second = recorded(driven)
    assert first.outcome == Succeeded({"charged": 1})
    assert (first.cursor.input_seq, second.cursor.input_seq) == (0, 1)
    assert first.cursor == Cursor(driven.flow.id.display, "tr", 0, 0)
    rows = [event for event in driven.events("tr") if event.event_type == EFFECT_RECORD]
    assert [row.id for row in rows] == [record.event_id for record in (first, second)]
    assert [row.processing_info.event_time for row in rows] == [0, 1000]
    assert [(acted.stage, acted.effect_type, acted.input, acted.key) for acted in driven.acted] == [
        ("tr", "charge", {"id": 1}, "k"),
        ("tr", "charge", {"id": 2}, "k"),
    ]


def test_effect_records_are_no_data() -> None:
    driven = Driven(charging(World())).all({"id": 1})
    assert data(event for event in driven.events("tr") if event.event_type == "charged") == [{"charged": 1}]
    assert len(results(driven.events("snk"))) == 1
    assert driven.last_facts()[0] == "system.pipeline.completed"


def replayed(program: Any, records: Sequence[EffectRecord], *payloads: Any) -> Driven:
    return Driven(program, RecordedHistory(records)).all(*payloads)


def test_c60_105_a_replay_never_executes() -> None:
    live = Driven(charging(World())).all({"id": 1}, {"id": 2})
    world = World()
    again = replayed(charging(world), recorded(live), {"id": 1}, {"id": 2})
    assert world.calls == []
    assert again.records == live.records
    assert again.acted == live.acted


def test_c60_105_an_effect_that_was_never_recorded() -> None:
    world = World()
    driven = replayed(charging(world), [], {"id": 1})
    assert "was never recorded" in fault_of(driven)
    assert driven.scheduler.stages[1].crash.code == "pipeline.missing_recorded_effect"
    assert world.calls == []


def test_c60_105_an_effect_that_asks_for_something_else() -> None:
    live = Driven(charging(World())).all({"id": 1})
    for changed in (charging(World(), note=1), charging(World(), schema_version=2)):
        driven = replayed(changed, recorded(live), {"id": 1})
        assert driven.scheduler.stages[1].crash.code == "pipeline.descriptor_mismatch"


def test_c60_105_an_attempt_without_an_outcome() -> None:
    live = Driven(charging(World(), Safety.NON_IDEMPOTENT_AT_LEAST_ONCE)).all({"id": 1})
    assert [type(record.outcome) for record in recorded(live)] == [AttemptStarted, Succeeded]
    started = recorded(live)[:1]
    world = World()
    driven = replayed(charging(world, Safety.NON_IDEMPOTENT_AT_LEAST_ONCE), started, {"id": 1})
    assert driven.scheduler.stages[1].crash.code == "pipeline.effect_in_doubt"
    assert "attempt 1 of 'charge' was started" in fault_of(driven)
    assert world.calls == []
    resumed = Driven(
        charging(world, Safety.NON_IDEMPOTENT_AT_LEAST_ONCE), RecordedHistory(started, is_replay=False)
    ).all({"id": 1})
    assert len(world.calls) == 1
    attempts = [record.outcome for record in recorded(resumed)]
    assert attempts == [AttemptStarted(1), AttemptStarted(2), Succeeded({"charged": 1})]
    names = [name for name in resumed.names("tr") if name in EFFECT_EVENTS]
    assert names == [EFFECT_ATTEMPT, EFFECT_ATTEMPT, EFFECT_RECORD]


def test_an_executor_that_was_not_loaded_is_to_be_given_itself() -> None:
    program = replace(charging(World()), effects={"charge": "bank:charge"})
    crash = Driven(program).all({"id": 1}).scheduler.stages[1].crash
    assert (crash.code, "'bank:charge' was not loaded" in crash.message) == ("pipeline.effect_not_loaded", True)
    assert "give the function itself" in crash.fix


def test_c60_105_a_missing_key_comes_before_history_and_is_recorded_nowhere() -> None:
    keyed = Driven(charging(World(), Safety.NON_IDEMPOTENT_REQUIRES_KEY)).all({"id": 1})
    world = World()
    program = charging(world, Safety.NON_IDEMPOTENT_REQUIRES_KEY, key=None)
    for history in (RecordedHistory(recorded(keyed)), None):
        driven = Driven(program, history).all({"id": 1})
        assert driven.scheduler.stages[1].crash.code == "pipeline.missing_idempotency_key"
        assert recorded(driven) == []
        assert driven.acted == []
    assert world.calls == []


@pytest.mark.parametrize(
    ("order", "failed"),
    [
        (13, FailedOutcome("refused", "no credit", Retry.RETRYABLE)),
        (14, FailedOutcome("ValueError", "ValueError: broken", Retry.NOT_RETRYABLE)),
    ],
)
def test_c60_105_a_recorded_failure_is_raised_again(order: int, failed: FailedOutcome) -> None:
    """The handler that lets it pass has failed on its input, which goes to the error journal."""
    live = Driven(charging(World())).all({"id": order})
    assert [record.outcome for record in recorded(live)] == [failed]
    world = World()
    again = replayed(charging(world), recorded(live), {"id": order})
    assert world.calls == []
    assert again.records == live.records
    assert data(again.events("error:tr")) == [{"id": order}]


def test_incomplete_and_duplicate_outcomes() -> None:
    (record,) = recorded(Driven(charging(World())).all({"id": 1}))
    fact = SucceededFact("charged", {}, 0, 2)
    cases = {
        "pipeline.incomplete_outcome_group": [replace(record, outcome=fact)],
        "pipeline.duplicate_recorded_effect": [record, record],
    }
    for code, records in cases.items():
        driven = replayed(charging(World()), records, {"id": 1})
        assert driven.scheduler.stages[1].crash.code == code


def test_a_handler_cannot_hide_that_an_effect_must_not_be_performed() -> None:
    def process(event: Event, effects: Any) -> list[Event]:
        try:
            effects.perform("charge", {})
        except Exception:  # noqa: BLE001 - what careless code does
            return [Event("charged", None)]
        return []

    program = pipeline(
        source("src"),
        transform("tr", process),
        sink("snk", lambda event: None),
        effects={"charge": EffectType(World().charge)},
    )
    driven = replayed(program, [], 1)
    assert data(driven.events("tr")) == []
    assert "was never recorded" in fault_of(driven)


def test_an_effect_that_the_program_does_not_have() -> None:
    driven = Driven(
        pipeline(source("src"), transform("tr", lambda event, effects: effects.perform("pay")), sink("snk", print))
    )
    driven.all(1)
    assert "the program has no effect 'pay'" in fault_of(driven)


def test_several_effects_of_one_input_and_of_its_sink() -> None:
    def consume(event: Event, effects: Any) -> None:
        for order in (1, 2):
            effects.perform("charge", {"id": order}, key=str(order))

    world = World()
    program = pipeline(source("src"), sink("snk", consume), effects={"charge": EffectType(world.charge)})
    driven = Driven(program).all("a", "b")
    cursors = [record.cursor for record in recorded(driven, "snk")]
    assert [(cursor.input_seq, cursor.effect_ordinal) for cursor in cursors] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert driven.names("snk")[1:4] == [EFFECT_RECORD, EFFECT_RECORD, "sink.delivery"]

"""A handler performs effects during its call alone, one after the other: any other would have no certain place."""

from __future__ import annotations

from typing import Any

import pytest
from pipeline_flows import pipeline
from test_pipeline_invoker import Episodes, deliver

from ergo_cli.programs.pipeline import EffectFailed, Event, sink, source, transform
from ergo_cli.programs.pipeline.effects import EFFECT_RECORD, EffectType
from ergo_cli.programs.pipeline.errors import PipelineError
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome

BROKEN = Failed(ErrKind.SEMANTIC_ERROR)


def test_effects_of_an_earlier_call_perform_nothing() -> None:
    kept: list[Any] = []
    performed: list[Any] = []

    def process(event: Event, effects: Any) -> list[Event]:
        kept.append(effects)
        kept[0].perform("pay", event.payload)
        return [event]

    stages = (source("src"), transform("tr", process), sink("snk", deliver))
    episodes = Episodes(pipeline(*stages, effects={"pay": EffectType(lambda given, call: performed.append(given))}))
    assert [episodes.run(1), episodes.run(2)] == [Outcome.COMPLETED, BROKEN]
    error = episodes.invoker.last_error
    assert isinstance(error, PipelineError)
    assert (error.code, error.where) == ("pipeline.effect_out_of_turn", "stage 'tr'")
    assert performed == [1]


def test_effects_of_another_stage_perform_nothing() -> None:
    kept: list[Any] = []
    performed: list[Any] = []

    def process(event: Event, effects: Any) -> list[Event]:
        kept.append(effects)
        return [event]

    def consume(event: Event) -> None:
        with pytest.raises(PipelineError, match="has returned") as refused:
            kept[0].perform("pay", event.payload)
        assert refused.value.code == "pipeline.effect_out_of_turn"

    stages = (source("src"), transform("tr", process), sink("snk", consume))
    episodes = Episodes(pipeline(*stages, effects={"pay": EffectType(lambda given, call: performed.append(given))}))
    assert (episodes.run(1), performed, episodes.invoker.drain()[0].kind) == (Outcome.COMPLETED, [], "sink_write")


def test_an_executor_that_performs_an_effect_fails_its_own() -> None:
    """A replay calls no executor, so that what one performs could not come again."""
    outcomes: list[str] = []
    within: list[Any] = []

    def process(event: Event, effects: Any) -> list[Event]:
        within.append(effects)
        with pytest.raises(EffectFailed) as failed:
            effects.perform("outer", event.payload)
        outcomes.append(failed.value.error_type)
        return [Event("next", effects.perform("inner", 2))]

    effects = {
        "outer": EffectType(lambda given, call: within[0].perform("inner", 1)),
        "inner": EffectType(lambda given, call: given),
    }
    episodes = Episodes(pipeline(source("src"), transform("tr", process), sink("snk", deliver), effects=effects))
    assert (episodes.run(1), outcomes) == (Outcome.COMPLETED, ["PipelineError"])
    contents = [each["record"]["event"].get("content", {}) for each in episodes.entries[-1] if "record" in each]
    records = [each["payload"] for each in contents if each.get("event_type") == EFFECT_RECORD]
    assert [(each["cursor"]["effect_ordinal"], each["outcome"]["outcome"]) for each in records] == [
        (0, "failed"),
        (1, "succeeded"),
    ]

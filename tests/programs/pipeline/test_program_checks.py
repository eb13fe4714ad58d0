"""Everything that can be seen to be wrong with a pipeline program before it runs is refused then."""

from __future__ import annotations

from typing import Any

import pytest

from ergo_cli.errors import ErgoError
from ergo_cli.programs.pipeline.authoring import Event, inner, join, sink, source, stateful, transform
from ergo_cli.programs.pipeline.checks import check_pipeline
from ergo_cli.programs.pipeline.effects import EffectType
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.settings import PipelineSettings

SRC, SNK = source("src"), sink("snk", lambda event: None)


def without_parameters() -> list[Event]:
    return []


def program(**parts: Any) -> PipelineProgram:
    given: dict[str, Any] = {"name": "orders", "stages": (SRC, SNK), "edges": (("src", "snk"),), **parts}
    return PipelineProgram(**given)


def refused(given: PipelineProgram) -> ErgoError:
    with pytest.raises(ErgoError) as caught:
        check_pipeline(given)
    return caught.value


def test_a_pipeline_of_every_kind_of_stage_passes() -> None:
    async def process(event: Event) -> list[Event]:
        return [event]

    def consume(event: Event, effects: Any) -> None:
        effects.perform("charge")

    def key(event: Event) -> Any:
        return event.payload["key"]

    stages = (
        source("catalog"),
        source("orders", lambda payload: []),
        transform("tr", process),
        join("jn", "catalog", "tr", inner("catalog", key, key, lambda found, event: event)),
        stateful("acc", list, lambda state, event: None, lambda state: []),
        sink("snk", consume),
    )
    edges = (("orders", "tr"), ("catalog", "jn"), ("tr", "jn"), ("jn", "acc"), ("acc", "snk"))
    check_pipeline(program(stages=stages, edges=edges, effects={"charge": "app:charge", "pay": lambda given, call: 1}))


@pytest.mark.parametrize(
    "parts",
    [
        {"name": ""},
        {"name": None},
        {"name": "a\nb"},
        {"version": 1},
        {"settings": None},
        {"effects": []},
        {"effects": {"": "app:charge"}},
        {"effects": {"charge": "app"}},
        {"effects": {"charge": EffectType("app:charge", schema_version=-1)}},
        {"effects": {"charge": EffectType("app:charge", safety="idempotent")}},
        {"stages": None},
        {"stages": (SRC, "snk")},
        {"stages": (SRC, sink("", lambda event: None))},
        {"edges": None},
        {"edges": ("src>snk",)},
        {"edges": (("src", "snk", "forward"),)},
        {"edges": (("src", 1),)},
    ],
    ids=lambda parts: next(iter(parts)),
)
def test_parts_of_the_wrong_kind(parts: dict[str, Any]) -> None:
    error = refused(program(**parts))
    assert error.code == "pipeline.program_invalid"
    assert error.fix


@pytest.mark.parametrize(
    "settings",
    [
        {"startup_mode": "manuel"},
        {"source_contract": "WARN"},
        {"source_contract": None},
        {"shutdown_timeout_ms": -1},
        {"shutdown_timeout_ms": True},
        {"metrics_drain_timeout_ms": 1.5},
        {"drain_timeout_ms": "5"},
    ],
    ids=str,
)
def test_settings_that_are_none(settings: dict[str, Any]) -> None:
    error = refused(program(settings=PipelineSettings(**settings)))
    assert error.code == "pipeline.invalid_setting"
    assert error.where == f"setting '{next(iter(settings))}'"


def test_a_token_that_is_nearly_one() -> None:
    assert "manual" in str(refused(program(settings=PipelineSettings(startup_mode="manuel"))).fix)


def test_all_wrong_settings_are_told_at_once() -> None:
    error = refused(program(settings=PipelineSettings("x", "y", -1)))
    assert [cause.where for cause in error.causes] == ["setting 'source_contract'", "setting 'shutdown_timeout_ms'"]


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        (source("src", without_parameters), "admit"),
        (source("src", "admit"), "admit"),
        (transform("tr", lambda event, more: []), "process"),
        (transform("tr", lambda event: [], drain=lambda event: None), "drain"),
        (stateful("acc", dict, lambda state: None, lambda state: []), "accumulate"),
        (stateful("acc", {}, lambda state, event: None, lambda state: []), "initial_state"),
        (stateful("acc", dict, lambda state, event: None, without_parameters), "emit"),
        (sink("snk", lambda: None), "consume"),
        (sink("snk", lambda event: None, flush=lambda event: None), "flush"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_handlers_that_cannot_be_called(stage: Any, name: str) -> None:
    stages = {"src": SRC, "mid": transform("mid", lambda event: [event]), "snk": SNK}
    stages = {**stages, {"src": "src", "snk": "snk"}.get(stage.name, "mid"): stage}
    names = [each.name for each in stages.values()]
    error = refused(program(stages=tuple(stages.values()), edges=((names[0], names[1]), (names[1], names[2]))))
    assert error.code == "program.unfit_function"
    assert str(error).find(f"{name} of stage '{stage.name}'") >= 0


def test_a_generator_is_no_handler() -> None:
    def process(event: Event) -> Any:
        yield event

    stages = (SRC, transform("tr", process), SNK)
    assert refused(program(stages=stages, edges=(("src", "tr"), ("tr", "snk")))).code == "program.unfit_function"


def test_an_executor_that_cannot_be_called() -> None:
    assert refused(program(effects={"charge": lambda given: None})).code == "program.unfit_function"


def test_an_edge_of_a_stage_that_is_none() -> None:
    error = refused(program(edges=(("src", "snk"), ("scr", "snk"))))
    assert error.code == "pipeline.edge_unknown_stage"
    assert "'scr'" in str(error)
    assert "'src'" in str(error.fix)


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"stages": (SRC, SRC, SNK)}, "pipeline.duplicate_name"),
        ({"edges": ()}, "pipeline.disconnected"),
        ({"edges": (("src", "snk"), ("src", "snk"))}, "pipeline.edge_duplicate"),
        ({"stages": (SRC,), "edges": ()}, "pipeline.disconnected"),
        (
            {"stages": (SRC, join("jn", "src", "other", print), SNK), "edges": (("src", "jn"), ("jn", "snk"))},
            "pipeline.join_arity",
        ),
    ],
)
def test_topologies_that_are_none(parts: dict[str, Any], code: str) -> None:
    assert refused(program(**parts)).code == code

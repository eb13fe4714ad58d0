"""Own primitives written as plain functions: what they declare, how they are called, what is refused."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from authoring_samples import well_typed
from graph_shorthand import NodeShort, cluster, run

from ergo_cli import primitives
from ergo_cli.core.values import (
    ContextNeed,
    IntentFieldSpec,
    IntentSpec,
    MirrorWrite,
    NativeValue,
    ValueType,
    WriteSpec,
    derive_intent_id,
)
from ergo_cli.errors import RuleError
from ergo_cli.primitives import ActionOutcome, IntentTemplate, OwnPrimitive, action, compute, source, trigger
from ergo_cli.programs.graph.check.catalog import build_inventory
from ergo_cli.programs.graph.primitives.primitive import (
    InputSpec,
    OutputSpec,
    ParameterSpec,
    ParameterType,
    ParameterValue,
)

SAMPLES = Path(__file__).parent / "authoring_samples"
NUMBER, SERIES, STRING, EVENT = ValueType.NUMBER, ValueType.SERIES, ValueType.STRING, ValueType.EVENT


class Mixed(NamedTuple):
    """A result that no output can hold."""

    number: float
    table: dict[str, float]


def own(node: str, *primitives: Any, context: dict[str, NativeValue] | None = None, **parameters: Any) -> Any:
    """What output ``result`` of one compute on context key ``value`` comes to."""
    nodes: dict[str, NodeShort] = {
        "value": ("context_number_source@0.1.0", {"key": "value"}),
        "own": (f"{node}@1.0.0", parameters),
    }
    graph = cluster("g", nodes, ["value.value -> own.value"], outputs={"result": "own.result"})
    inventory = build_inventory(primitives)
    return run(graph, context=context or {"value": 2.0}, inventory=inventory).outputs["result"]


def failed(node: str, *primitives: Any, **parameters: Any) -> RuleError:
    with pytest.raises(RuleError) as caught:
        own(node, *primitives, **parameters)
    return caught.value


# --- what a signature declares


def test_a_source_declares_context_keys_parameters_and_an_output() -> None:
    manifest = well_typed.last_price.manifest
    assert (manifest.id, manifest.version, manifest.inputs) == ("last_price", "1.0.0", ())
    assert manifest.requires == (ContextNeed("$key", NUMBER, required=False),)
    assert manifest.outputs == (OutputSpec("value", NUMBER),)
    key = ParameterValue(ParameterType.STRING, "price")
    assert manifest.parameters == (ParameterSpec("key", ParameterType.STRING, key),)
    needs = well_typed.account.manifest.requires
    assert needs == (ContextNeed("owner", STRING, required=True), ContextNeed("balance", NUMBER, required=False))


def test_a_compute_declares_inputs_parameters_and_outputs_by_name() -> None:
    ema, band = well_typed.ema.manifest, well_typed.band.manifest
    assert ema.inputs == (InputSpec("value", NUMBER), InputSpec("before", NUMBER, required=False))
    half = ParameterValue(ParameterType.NUMBER, 0.5)
    assert ema.parameters == (ParameterSpec("alpha", ParameterType.NUMBER, half),)
    assert band.inputs == (InputSpec("prices", SERIES),)
    assert band.outputs == (OutputSpec("low", NUMBER), OutputSpec("high", NUMBER))
    assert (ema.may_error, well_typed.shift.manifest.may_error) == (False, True)


def test_an_int_default_of_a_number_is_that_number() -> None:
    (width,) = well_typed.band.manifest.parameters
    assert width.default == ParameterValue(ParameterType.NUMBER, 1.0)


def test_a_trigger_declares_one_event_and_a_parameter_without_default_is_required() -> None:
    manifest = well_typed.rises_above.manifest
    assert manifest.outputs == (OutputSpec("event", EVENT),)
    assert manifest.parameters == (ParameterSpec("level", ParameterType.NUMBER, required=True),)
    assert well_typed.unless.manifest.inputs == (InputSpec("event", EVENT), InputSpec("condition", ValueType.BOOL))


def test_an_action_declares_writes_intents_and_mirror_writes_with_the_types_of_its_arguments() -> None:
    manifest = well_typed.place_order.manifest
    assert manifest.outputs == (OutputSpec("outcome", EVENT),)
    assert manifest.effects.writes == (WriteSpec("order_qty", NUMBER, "qty"), WriteSpec("$key", STRING, "symbol"))
    fields = (
        IntentFieldSpec("symbol", STRING, from_input="symbol"),
        IntentFieldSpec("qty", NUMBER, from_input="qty"),
        IntentFieldSpec("venue", STRING, from_param="venue"),
    )
    mirrors = (MirrorWrite("last_symbol", STRING, "symbol"),)
    notify = IntentSpec("notify", (IntentFieldSpec("text", STRING, from_input="symbol"),))
    assert manifest.effects.intents == (IntentSpec("place_order", fields, mirrors), notify)


def test_a_literal_of_texts_is_an_enum() -> None:
    side = well_typed.place_order.manifest.parameters[-1]
    assert (side.type, side.default) == (ParameterType.ENUM, ParameterValue(ParameterType.ENUM, "buy"))
    assert side.bounds == "one of buy, sell"


def test_every_primitive_knows_where_it_is_written_and_can_be_called_as_its_function() -> None:
    lines = (SAMPLES / "well_typed.py").read_text().splitlines()
    place = well_typed.ema.place
    assert place is not None
    file, _, line = place.rpartition(":")
    assert (Path(file).name, lines[int(line) - 1]) == ("well_typed.py", '@compute("ema", "1.0.0")')
    assert (well_typed.smoothed, well_typed.fires) == (1.25, True)


# --- how a graph runs it


def test_c20_54_an_own_action_with_writes_intents_and_mirror_writes_has_the_effects_of_the_spec() -> None:
    nodes: dict[str, NodeShort] = {
        "yes": ("const_bool@0.1.0", {"value": True}),
        "gate": "emit_if_true@0.1.0",
        "symbol": ("string_source@0.1.0", {"value": "EURUSD"}),
        "qty": ("number_source@0.1.0", {"value": 100.0}),
        "act": ("place_order@1.0.0", {"venue": "xetra", "key": "traded"}),
    }
    edges = [
        "yes.value -> gate.input",
        "gate.event -> act.event",
        "symbol.value -> act.symbol",
        "qty.value -> act.qty",
    ]
    graph = cluster("graph-1", nodes, edges, outputs={"outcome": "act.outcome"})
    report = run(graph, inventory=build_inventory([well_typed.place_order]))
    assert report.outputs["outcome"] is ActionOutcome.COMPLETED
    writes, orders, notes = report.effects
    assert [(write.key, write.value.native) for write in writes.writes] == [
        ("order_qty", 100.0),
        ("traded", "EURUSD"),
        ("last_symbol", "EURUSD"),
    ]
    (order,) = orders.intents
    assert [(field.name, field.value.native) for field in order.fields] == [
        ("symbol", "EURUSD"),
        ("qty", 100.0),
        ("venue", "xetra"),
    ]
    assert order.intent_id == derive_intent_id("graph-1", "e1", "n0", "place_order", 0)
    assert notes.intents[0].intent_id == derive_intent_id("graph-1", "e1", "n0", "notify", 1)


@pytest.mark.parametrize(
    ("context", "expected"),
    [({"price": 3.5}, 3.5), ({}, 0.0), ({"price": "dear"}, 0.0), ({"bid": 2.0, "price": 1.0}, 2.0)],
)
def test_an_optional_context_key_that_is_missing_or_of_another_type_has_its_default(
    context: dict[str, NativeValue], expected: float
) -> None:
    key = "bid" if "bid" in context else "price"
    graph = cluster("g", {"own": ("last_price@1.0.0", {"key": key})}, outputs={"price": "own.value"})
    assert run(graph, context=context, inventory=build_inventory([well_typed.last_price])).outputs == {
        "price": expected
    }


@pytest.mark.parametrize(("context", "rule"), [({}, "SRC-10"), ({"owner": 1.0}, "SRC-11")])
def test_a_required_context_key_is_checked_before_the_source_is_called(
    context: dict[str, NativeValue], rule: str
) -> None:
    graph = cluster("g", {"own": "account@1.0.0"}, outputs={"account": "own.value"})
    with pytest.raises(RuleError) as caught:
        run(graph, context=context, inventory=build_inventory([well_typed.account]))
    assert caught.value.rule == rule


def test_an_unwired_optional_input_has_its_default() -> None:
    assert own("ema", well_typed.ema) == 2.0


def test_several_outputs_come_from_a_named_tuple() -> None:
    nodes: dict[str, NodeShort] = {
        "prices": ("context_series_source@0.1.0", {"key": "prices"}),
        "band": ("band@^1", {"width": 2}),
    }
    outputs = {"low": "band.low", "high": "band.high"}
    graph = cluster("g", nodes, ["prices.value -> band.prices"], outputs=outputs)
    report = run(graph, context={"prices": [1.0, 5.0]}, inventory=build_inventory([well_typed.band]))
    assert report.outputs == {"low": -1.0, "high": 7.0}


def test_a_list_that_a_primitive_changes_is_its_own() -> None:
    prices = [1.0, 2.0, 3.0]
    nodes: dict[str, NodeShort] = {
        "prices": ("context_series_source@0.1.0", {"key": "prices"}),
        "shift": "shift@1.0.0",
    }
    outputs = {"before": "prices.value", "after": "shift.result"}
    graph = cluster("g", nodes, ["prices.value -> shift.prices"], outputs=outputs)
    report = run(graph, context={"prices": prices}, inventory=build_inventory([well_typed.shift]))
    assert report.outputs == {"before": [1.0, 2.0, 3.0], "after": [2.0, 3.0]}
    assert prices == [1.0, 2.0, 3.0]


def test_a_compute_that_asks_for_an_int_is_given_a_whole_one() -> None:
    @compute("times", "1.0.0")
    def times(value: float, *, by: int = 2) -> float:
        return value * by if isinstance(by, int) else math.nan

    assert own("times", times, by=3) == 6.0
    assert own("times", times, by=3.0) == 6.0
    error = failed("times", times, by=2.5)
    assert (error.rule, error.details[0]) == ("CMP-12", "InvalidParameter")
    assert "must be a whole number" in error.message


def test_an_int_that_is_returned_as_a_number_is_one() -> None:
    @compute("three", "1.0.0")
    def three(value: float) -> float:
        return 3

    @compute("list", "1.0.0")
    def listed(value: float) -> list[float]:
        return [1, 2.5]

    assert [type(own("three", three)), own("list", listed)] == [float, [1.0, 2.5]]


# --- what goes wrong at run time


@pytest.mark.parametrize("result", [None, "3", True, [1.0], b"3"])
def test_a_result_of_another_type_is_v_4_and_names_port_and_value(result: object) -> None:
    @compute("wrong", "1.0.0")
    def wrong(value: float) -> float:
        return result  # type: ignore[return-value]

    error = failed("wrong", wrong)
    assert (error.rule, error.phase) == ("V.4", "execution")
    assert "output 'result' of 'own' (wrong) must be Number" in error.message
    assert repr(result) in error.message
    assert error.fix


@pytest.mark.parametrize("result", [math.nan, math.inf, -math.inf])
def test_c20_49_a_number_that_is_not_finite_is_num_finite_1(result: float) -> None:
    @compute("wild", "1.0.0")
    def wild(value: float) -> float:
        return result

    @compute("wild_list", "1.0.0")
    def wild_list(value: float) -> list[float]:
        return [value, result]

    assert failed("wild", wild).rule == "NUM-FINITE-1"
    assert failed("wild_list", wild_list).rule == "NUM-FINITE-1"


def test_an_exception_that_leaks_is_internal_and_named() -> None:
    @compute("broken", "1.0.0")
    def broken(value: float) -> float:
        raise KeyError("volume")

    error = failed("broken", broken)
    assert error.rule == "INTERNAL"
    assert error.message == "primitive 'broken' of 'own' broke: KeyError: 'volume'"


def test_a_trigger_or_action_that_gives_something_else_is_internal() -> None:
    @trigger("perhaps", "1.0.0")
    def perhaps(value: float) -> bool:
        return None  # type: ignore[return-value]

    @action("shy", "1.0.0")
    def shy(event: ActionOutcome) -> ActionOutcome:
        return True  # type: ignore[return-value]

    undecided = cluster(
        "g",
        {"value": ("const_number@0.1.0", {"value": 1.0}), "own": "perhaps@1.0.0"},
        ["value.value -> own.value"],
    )
    gated = cluster(
        "g",
        {"yes": ("const_bool@0.1.0", {"value": True}), "gate": "emit_if_true@0.1.0", "own": "shy@1.0.0"},
        ["yes.value -> gate.input", "gate.event -> own.event"],
    )
    for graph, told in (
        (undecided, "a trigger returns True or False, got None"),
        (gated, "an action returns an ActionOutcome, got True"),
    ):
        with pytest.raises(RuleError, match=told) as caught:
            run(graph, inventory=build_inventory([perhaps, shy]))
        assert caught.value.rule == "INTERNAL"


def test_an_enum_that_is_none_of_its_options_is_told() -> None:
    @source("pick", "1.0.0")
    def pick(*, side: Literal["buy", "sell"]) -> str:
        return side

    graph = cluster("g", {"own": ("pick@1.0.0", {"side": "hold"})}, outputs={"side": "own.value"})
    with pytest.raises(RuleError, match="parameter 'side' must be one of buy, sell, got 'hold'"):
        run(graph, inventory=build_inventory([pick]))


# --- what is refused when it is declared


def refused(declare: Any) -> RuleError:
    with pytest.raises(RuleError) as caught:
        declare()
    error = caught.value
    assert error.phase == "registration"
    assert error.fix
    assert error.where is not None
    assert Path(__file__).name in error.where
    return error


def unannotated(value, other: float = 0.0) -> float:  # type: ignore[no-untyped-def]
    return other


def of_table(value: dict[str, float]) -> float:
    return 1.0


def gives_table(value: float) -> dict[str, float]:
    return {}


def gives_mixed(value: float) -> Mixed:
    return Mixed(value, {})


def gives_nothing(value: float):  # type: ignore[no-untyped-def]
    return None


def any_number(*values: float) -> float:
    return 1.0


def text_parameter(value: float, *, names: dict[str, str]) -> float:
    return 1.0


def unknown_name(value: Nowhere) -> float:  # noqa: F821
    return 1.0


def odd_default(value: float, *, by: float = None) -> float:  # type: ignore[assignment]  # noqa: RUF013
    return value


SIGNATURES = [
    (compute, unannotated, "CMP-13", "'value'"),
    (compute, of_table, "CMP-13", "dict[str, float]"),
    (trigger, of_table, "TRG-8", "float"),
    (action, of_table, "ACT-9", "float"),
    (source, of_table, "INTERNAL", "context key 'value' as dict[str, float]"),
    (compute, gives_table, "CMP-20", "dict[str, float]"),
    (source, gives_table, "SRC-7", "dict[str, float]"),
    (compute, gives_mixed, "CMP-20", "output 'table'"),
    (compute, gives_nothing, "CMP-20", "nothing"),
    (trigger, gives_nothing, "TRG-8", "nothing"),
    (compute, any_number, "INTERNAL", "*values"),
    (compute, text_parameter, "CMP-15", "'names'"),
    (source, text_parameter, "INTERNAL", "'names'"),
    (compute, unknown_name, "INTERNAL", "Nowhere"),
    (compute, odd_default, "INTERNAL", "None"),
]


@pytest.mark.parametrize(("family", "function", "rule", "named"), SIGNATURES)
def test_a_signature_that_no_primitive_can_have_is_refused_where_it_is_written(
    family: Any, function: Any, rule: str, named: str
) -> None:
    error = refused(lambda: family("odd", "1.0.0")(function))
    assert error.rule == rule
    assert named in error.message


def test_the_registration_rules_are_those_of_the_standard_library() -> None:
    @compute("BadId", "1.0")
    def bad(value: str, *, name: str = "x", scale: float = "y") -> float:  # type: ignore[assignment]
        return 1.0

    error = refused(lambda: build_inventory([bad]))
    assert [error.rule, *(cause.rule for cause in error.causes)] == ["CMP-1", "CMP-2", "CMP-13", "CMP-15", "CMP-19"]
    assert error.message.startswith("compute registration failed: Compute 'BadId'")


def effects_of(**declared: Any) -> OwnPrimitive[Any, Any, Any, Any]:
    @action("act", "1.0.0", **declared)
    def act(event: ActionOutcome, qty: float, *, side: str = "buy", size: int = 1) -> ActionOutcome:
        return ActionOutcome.COMPLETED

    return act


DECLARED = [
    ({"writes": {"key": "price"}}, "ACT-22"),
    ({"writes": {"key": "event"}}, "ACT-15"),
    ({"writes": {"$key": "qty"}}, "ACT-20"),
    ({"writes": {"$size": "qty"}}, "ACT-21"),
    ({"intents": [IntentTemplate("a"), IntentTemplate("a")]}, "ACT-24"),
    ({"intents": [IntentTemplate("a", {"x": "price"})]}, "ACT-28"),
    ({"intents": [IntentTemplate("a", {"x": "event"})]}, "ACT-29"),
    ({"intents": [IntentTemplate("a", {"x": "size"})]}, "ACT-31"),
    ({"intents": [IntentTemplate("a", {"x": "qty"}, {"key": "y"})]}, "ACT-32"),
]


@pytest.mark.parametrize(("declared", "rule"), DECLARED, ids=lambda value: value if isinstance(value, str) else "")
def test_effects_of_arguments_that_do_not_exist_or_fit_are_refused(declared: dict[str, Any], rule: str) -> None:
    assert refused(lambda: build_inventory([effects_of(**declared)])).rule == rule


# --- documentation and type checking


def test_the_documented_example_is_a_module_of_primitives() -> None:
    documented = primitives.__doc__ or ""
    example = documented.partition("::\n")[2].partition("\nName the module")[0]
    module: dict[str, Any] = {}
    exec(compile(textwrap.dedent(example), "example", "exec"), module)
    inventory = build_inventory([value for value in module.values() if isinstance(value, OwnPrimitive)])
    assert all(inventory.primitive(name) for name in ("last_price", "ema", "crossed", "place_order"))
    assert sorted(primitives.__all__) == primitives.__all__


def test_a_type_checker_accepts_a_well_typed_module_and_refuses_every_fault_of_another() -> None:
    pyright = Path(sys.executable).with_name("pyright")
    if not pyright.exists():
        pytest.skip("pyright is not installed beside this interpreter")
    files = [str(SAMPLES / name) for name in ("well_typed.py", "wrongly_typed.py")]
    done = subprocess.run(
        [pyright, "--pythonpath", sys.executable, "--outputjson", *files],
        capture_output=True,
        timeout=120,
        check=False,
    )
    found = {
        (Path(each["file"]).name, each["range"]["start"]["line"])
        for each in json.loads(done.stdout)["generalDiagnostics"]
    }
    marked = [n for n, line in enumerate(Path(files[1]).read_text().splitlines()) if "# refused" in line]
    assert found == {("wrongly_typed.py", line) for line in marked}

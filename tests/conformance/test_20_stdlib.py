"""Spec 20 §17, standard library: C-13 … C-23."""

from __future__ import annotations

import math

import pytest
from graph_shorthand import cluster, expanded, run

from ergo_cli.core.values import NativeValue
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.primitives.primitive import ActionOutcome, ComputeErrorType, ComputeFault, TriggerEvent

Inputs = dict[str, NativeValue]
INVENTORY = standard_inventory()


def compute(impl_id: str, inputs: Inputs, **params: float | bool) -> NativeValue:
    """The only output of a compute."""
    (result,) = INVENTORY.computes[impl_id].call(inputs, params).values()
    return result


def fault_of(impl_id: str, inputs: Inputs, **params: float) -> ComputeFault:
    with pytest.raises(ComputeFault) as raised:
        compute(impl_id, inputs, **params)
    return raised.value


def source(impl_id: str, context: Inputs | None = None, **params: float | bool | str) -> NativeValue:
    """The only output of a source."""
    return INVENTORY.sources[impl_id].call(params, context or {})["value"]


def same(one: NativeValue, other: float) -> bool:
    """Equal, the sign of zero included."""
    return isinstance(one, float) and one == other and math.copysign(1.0, one) == math.copysign(1.0, other)


@pytest.mark.parametrize(("a", "b"), [(8.0, 0.0), (8.0, -0.0), (0.0, 0.0)])
def test_c20_13_division_by_either_zero_fails(a: float, b: float) -> None:
    assert fault_of("divide", {"a": a, "b": b}).kind is ComputeErrorType.DIVISION_BY_ZERO


def test_c20_13_quotient_beyond_the_finite_range_fails() -> None:
    assert fault_of("divide", {"a": 1e308, "b": 1e-308}).kind is ComputeErrorType.NON_FINITE_RESULT
    assert compute("divide", {"a": 8.0, "b": 2.0}) == 4.0


@pytest.mark.parametrize(
    ("a", "b", "fallback", "result"),
    [(8.0, 0.0, 42.0, 42.0), (1e308, 1e-308, -1.0, -1.0), (8.0, 2.0, 42.0, 4.0), (0.0, -0.0, 7.0, 7.0)],
)
def test_c20_14_safe_divide_falls_back(a: float, b: float, fallback: float, result: float) -> None:
    assert compute("safe_divide", {"a": a, "b": b}, fallback=fallback) == result


@pytest.mark.parametrize(
    ("series", "size", "result"),
    [
        ([1.0, 2.0, 3.0, 4.0], 2.0, [3.0, 4.0]),
        ([1.0, 2.0], 10.0, [1.0, 2.0]),
        ([1.0, 2.0], 2.0, [1.0, 2.0]),
        ([], 3.0, []),
        ([1.0, 2.0], 1e300, [1.0, 2.0]),
    ],
)
def test_c20_15_window_keeps_the_last_items_in_order(series: list[float], size: float, result: list[float]) -> None:
    assert compute("window", {"series": series}, size=size) == result


@pytest.mark.parametrize("size", [0.0, -0.0, 2.5, -1.0, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("series", [[1.0], []])
def test_c20_15_window_refuses_a_size_that_is_no_positive_integer(size: float, series: list[float]) -> None:
    fault = fault_of("window", {"series": series}, size=size)
    assert (fault.kind, fault.parameter) == (ComputeErrorType.INVALID_PARAMETER, "size")
    assert fault.reason == "size must be a positive integer"


def test_c20_16_mean_sum_len_append() -> None:
    assert same(compute("mean", {"series": []}), 0.0)
    assert compute("mean", {"series": [1.0, 2.0, 3.0]}) == 2.0
    assert same(compute("sum", {"series": []}), -0.0)
    assert same(compute("sum", {"series": [-0.0]}), -0.0)
    assert same(compute("sum", {"series": [0.0]}), 0.0)
    assert compute("sum", {"series": [1.0, 2.5, 3.5]}) == 7.0
    assert same(compute("len", {"series": [1.0, 2.0, 3.0]}), 3.0)
    assert compute("append", {"series": [1.0, 2.0], "value": 3.0}) == [1.0, 2.0, 3.0]


def test_c20_16_append_leaves_its_input_alone() -> None:
    series = [1.0]
    compute("append", {"series": series, "value": 2.0})
    assert series == [1.0]


def test_c20_17_overflowing_mean_and_sum_fail() -> None:
    items = [1e308, 1e308, -1e308]
    assert fault_of("mean", {"series": items}).kind is ComputeErrorType.NON_FINITE_RESULT
    assert fault_of("sum", {"series": items}).kind is ComputeErrorType.NON_FINITE_RESULT


def test_c20_17_a_failing_mean_ends_the_pass_with_cmp_12() -> None:
    nodes = {"s": "context_series_source@0.1.0", "m": "mean@0.1.0"}
    graph = cluster("g", nodes, ["s.value -> m.series"])
    with pytest.raises(RuleError, match="not finite") as raised:
        run(graph, context={"x": [1e308, 1e308, -1e308]})
    assert raised.value.code == "CMP-12"


def test_c20_17_sums_are_plain_additions_from_left_to_right() -> None:
    assert compute("sum", {"series": [0.1, 0.2, 0.3]}) == 0.6000000000000001
    assert compute("mean", {"series": [0.1, 0.2, 0.3]}) == 0.20000000000000004


@pytest.mark.parametrize(
    ("impl_id", "less", "equal", "more"),
    [
        ("gt", False, False, True),
        ("gte", False, True, True),
        ("lt", True, False, False),
        ("lte", True, True, False),
        ("eq", False, True, False),
        ("neq", True, False, True),
    ],
)
def test_c20_18_comparisons(impl_id: str, less: bool, equal: bool, more: bool) -> None:
    assert compute(impl_id, {"a": 1.0, "b": 2.0}) is less
    assert compute(impl_id, {"a": 2.0, "b": 2.0}) is equal
    assert compute(impl_id, {"a": 0.0, "b": -0.0}) is equal
    assert compute(impl_id, {"a": 2.0, "b": 1.0}) is more


@pytest.mark.parametrize("a", [True, False])
@pytest.mark.parametrize("b", [True, False])
def test_c20_18_logic(a: bool, b: bool) -> None:
    assert compute("and", {"a": a, "b": b}) is (a and b)
    assert compute("or", {"a": a, "b": b}) is (a or b)
    assert compute("not", {"value": a}) is not a


@pytest.mark.parametrize("impl_id", ["min", "max"])
def test_c20_18_of_equal_operands_the_first_is_returned(impl_id: str) -> None:
    assert same(compute(impl_id, {"a": 0.0, "b": -0.0}), 0.0)
    assert same(compute(impl_id, {"a": -0.0, "b": 0.0}), -0.0)


def test_c20_18_arithmetic_and_choice() -> None:
    pair: Inputs = {"a": 3.0, "b": -4.0}
    assert [compute(name, pair) for name in ("add", "subtract", "multiply", "min", "max")] == [
        -1.0,
        7.0,
        -12.0,
        -4.0,
        3.0,
    ]
    assert compute("multiply", {"a": 1e200, "b": 1e200}) == math.inf
    assert same(compute("abs", {"value": -0.0}), 0.0)
    assert compute("abs", {"value": -2.5}) == 2.5
    assert same(compute("negate", {"value": 0.0}), -0.0)
    branches: Inputs = {"when_true": 1.0, "when_false": 2.0}
    assert [compute("select", {"cond": cond, **branches}) for cond in (True, False)] == [1.0, 2.0]
    branches = {"when_true": False, "when_false": True}
    assert [compute("select_bool", {"cond": cond, **branches}) for cond in (True, False)] == [False, True]


def test_c20_18_constants_ignore_their_optional_input() -> None:
    assert compute("const_number", {}, value=2.0) == 2.0
    assert compute("const_number", {"unit": 9.0}, value=2.0) == 2.0
    assert compute("const_bool", {}, value=False) is False


@pytest.mark.parametrize(
    ("impl_id", "value", "default"),
    [
        ("context_number_source", 2.5, 0.0),
        ("context_bool_source", True, False),
        ("context_string_source", "s", ""),
        ("context_series_source", [1.0], []),
    ],
)
def test_c20_19_context_sources(impl_id: str, value: NativeValue, default: NativeValue) -> None:
    other: NativeValue = 1.0 if isinstance(value, str) else "no"
    assert source(impl_id, {"x": value}) == value
    assert source(impl_id, {"x": other, "y": value}, key="y") == value
    assert source(impl_id, {"x": value}, key="gone") == default
    assert source(impl_id, {"x": other}) == default


def test_c20_19_bools_and_numbers_are_never_taken_for_each_other() -> None:
    assert same(source("context_number_source", {"x": True}), 0.0)
    assert source("context_bool_source", {"x": 1.0}) is False


def test_c20_20_emit_if_true() -> None:
    evaluate = INVENTORY.triggers["emit_if_true"].call
    assert evaluate({"input": True}, {}) == {"event": TriggerEvent.EMITTED}
    assert evaluate({"input": False}, {}) == {"event": TriggerEvent.NOT_EMITTED}


@pytest.mark.parametrize("event", TriggerEvent)
@pytest.mark.parametrize("condition", [True, False])
def test_c20_20_emit_if_event_and_true(event: TriggerEvent, condition: bool) -> None:
    evaluate = INVENTORY.triggers["emit_if_event_and_true"].call
    both = event is TriggerEvent.EMITTED and condition
    expected = TriggerEvent.EMITTED if both else TriggerEvent.NOT_EMITTED
    assert evaluate({"event": event, "condition": condition}, {}) == {"event": expected}


def outcome(impl_id: str, inputs: Inputs | None = None, **params: bool | str) -> ActionOutcome:
    attempted = {"event": ActionOutcome.ATTEMPTED, **(inputs or {})}
    return INVENTORY.actions[impl_id].call(attempted, params)["outcome"]


def test_c20_21_ack_action_answers_by_its_parameter() -> None:
    assert outcome("ack_action", accept=True) is ActionOutcome.COMPLETED
    assert outcome("ack_action") is ActionOutcome.COMPLETED
    assert outcome("ack_action", accept=False) is ActionOutcome.REJECTED


def test_c20_21_all_other_actions_attempt() -> None:
    assert outcome("annotate_action", note="hello") is ActionOutcome.ATTEMPTED
    values: Inputs = {"number": 1.0, "bool": True, "string": "s", "series": [1.0]}
    for type_, value in values.items():
        assert outcome(f"context_set_{type_}", {"value": value}, key="k") is ActionOutcome.ATTEMPTED


def test_c20_22_string_source_without_binding_emits_the_empty_string() -> None:
    assert source("string_source") == ""
    graph = cluster("g", {"s": "string_source@0.1.0"}, outputs={"p": "s.value"})
    assert run(graph).outputs == {"p": ""}


def test_c20_23_number_source_bound_to_a_string_is_i_4() -> None:
    with pytest.raises(RuleError) as raised:
        expanded(cluster("g", {"s": ("number_source@0.1.0", {"value": "abc"})}))
    assert (raised.value.code, raised.value.phase, raised.value.path) == ("I.4", "composition", "$.nodes")


def test_c20_23_number_source_bound_to_an_int_gives_the_nearest_float() -> None:
    graph = cluster("g", {"s": ("number_source@0.1.0", {"value": 2**53 + 1})}, outputs={"p": "s.value"})
    assert run(graph).outputs == {"p": 9007199254740992.0}

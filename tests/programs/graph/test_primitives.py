from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.core.values import ContextNeed, ValueType, WriteSpec
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.check.registration import check
from ergo_cli.programs.graph.primitives.primitive import (
    ComputeErrorType,
    ComputeFault,
    Family,
    ParameterType,
    ParameterValue,
    boolean,
    number,
    series,
    text,
)
from ergo_cli.programs.graph.primitives.standard import STANDARD

INVENTORY = standard_inventory()
ORDER = [
    "number_source",
    "boolean_source",
    "string_source",
    "context_number_source",
    "context_bool_source",
    "context_string_source",
    "context_series_source",
    "const_number",
    "const_bool",
    "abs",
    "negate",
    "add",
    "subtract",
    "multiply",
    "divide",
    "safe_divide",
    "gt",
    "gte",
    "lt",
    "lte",
    "eq",
    "neq",
    "min",
    "max",
    "and",
    "or",
    "not",
    "select",
    "select_bool",
    "append",
    "window",
    "mean",
    "sum",
    "len",
    "emit_if_true",
    "emit_if_event_and_true",
    "ack_action",
    "annotate_action",
    "context_set_number",
    "context_set_bool",
    "context_set_string",
    "context_set_series",
]
finite = st.floats(allow_nan=False, allow_infinity=False)


def test_the_library_is_complete_and_in_order() -> None:
    assert [primitive.manifest.id for primitive in STANDARD] == ORDER


@pytest.mark.parametrize("primitive", STANDARD, ids=ORDER)
def test_every_standard_manifest_is_valid_and_at_its_version(primitive) -> None:
    assert check(primitive.manifest) == []
    assert primitive.manifest.version == ("0.2.0" if primitive.manifest.id == "divide" else "0.1.0")


def test_only_four_computes_may_fail() -> None:
    failing = {
        id_: compute.manifest.error_types for id_, compute in INVENTORY.computes.items() if compute.manifest.may_error
    }
    assert failing == {
        "divide": (ComputeErrorType.DIVISION_BY_ZERO, ComputeErrorType.NON_FINITE_RESULT),
        "window": (ComputeErrorType.INVALID_PARAMETER,),
        "mean": (ComputeErrorType.NON_FINITE_RESULT,),
        "sum": (ComputeErrorType.NON_FINITE_RESULT,),
    }
    for compute in INVENTORY.computes.values():
        assert compute.manifest.errors_allowed is compute.manifest.may_error
        assert not compute.manifest.state_allowed


def ports(id_: str) -> tuple[dict[str, ValueType], dict[str, ValueType]]:
    primitive = INVENTORY.primitive(id_)
    assert primitive is not None
    manifest = primitive.manifest
    return {port.name: port.type for port in manifest.inputs}, {port.name: port.type for port in manifest.outputs}


@pytest.mark.parametrize(
    ("id_", "inputs", "outputs"),
    [
        ("context_series_source", {}, {"value": ValueType.SERIES}),
        ("const_bool", {"unit": ValueType.BOOL}, {"value": ValueType.BOOL}),
        ("divide", {"a": ValueType.NUMBER, "b": ValueType.NUMBER}, {"result": ValueType.NUMBER}),
        ("neq", {"a": ValueType.NUMBER, "b": ValueType.NUMBER}, {"result": ValueType.BOOL}),
        ("or", {"a": ValueType.BOOL, "b": ValueType.BOOL}, {"result": ValueType.BOOL}),
        (
            "select_bool",
            {"cond": ValueType.BOOL, "when_true": ValueType.BOOL, "when_false": ValueType.BOOL},
            {"result": ValueType.BOOL},
        ),
        ("append", {"series": ValueType.SERIES, "value": ValueType.NUMBER}, {"result": ValueType.SERIES}),
        ("len", {"series": ValueType.SERIES}, {"result": ValueType.NUMBER}),
        (
            "emit_if_event_and_true",
            {"event": ValueType.EVENT, "condition": ValueType.BOOL},
            {"event": ValueType.EVENT},
        ),
        (
            "context_set_string",
            {"event": ValueType.EVENT, "value": ValueType.STRING},
            {"outcome": ValueType.EVENT},
        ),
    ],
)
def test_ports(id_: str, inputs: dict[str, ValueType], outputs: dict[str, ValueType]) -> None:
    assert ports(id_) == (inputs, outputs)


def test_only_the_units_of_constants_are_optional() -> None:
    optional = {(entry.id, port.name) for entry in INVENTORY.catalog for port in entry.inputs if not port.required}
    assert optional == {("const_number", "unit"), ("const_bool", "unit")}


def test_parameters_and_their_defaults() -> None:
    told = {
        (entry.id, spec.name): (spec.type, spec.default and spec.default.value, spec.required)
        for entry in INVENTORY.catalog
        for spec in entry.parameters
    }
    string, number_, bool_ = ParameterType.STRING, ParameterType.NUMBER, ParameterType.BOOL
    contexts = {
        (f"context_{kind}_source", "key"): (string, "x", False) for kind in ("number", "bool", "string", "series")
    }
    setters = {(f"context_set_{kind}", "key"): (string, None, True) for kind in ("number", "bool", "string", "series")}
    assert told == {
        ("number_source", "value"): (number_, 0.0, False),
        ("boolean_source", "value"): (bool_, False, False),
        ("string_source", "value"): (string, "", False),
        ("const_number", "value"): (number_, None, True),
        ("const_bool", "value"): (bool_, None, True),
        ("safe_divide", "fallback"): (number_, None, True),
        ("window", "size"): (number_, 5.0, False),
        ("ack_action", "accept"): (bool_, True, False),
        ("annotate_action", "note"): (string, "", False),
        **contexts,
        **setters,
    }


def test_window_says_its_bounds() -> None:
    (size,) = INVENTORY.computes["window"].manifest.parameters
    assert size.bounds == "integer > 0"
    assert size.default == ParameterValue(ParameterType.NUMBER, 5.0)


def test_context_is_read_and_written_through_the_parameter_key() -> None:
    assert INVENTORY.sources["context_bool_source"].manifest.requires == (
        ContextNeed("$key", ValueType.BOOL, required=False),
    )
    effects = INVENTORY.actions["context_set_series"].manifest.effects
    assert effects.writes == (WriteSpec("$key", ValueType.SERIES, from_input="value"),)
    declaring = [id_ for id_, action in INVENTORY.actions.items() if action.manifest.effects.writes]
    assert declaring == [id_ for id_ in ORDER if id_.startswith("context_set")]


@given(st.lists(finite, max_size=50))
def test_sum_adds_from_left_to_right(items: list[float]) -> None:
    expected = -0.0
    for item in items:
        expected = expected + item
    call = INVENTORY.computes["sum"].call
    if math.isfinite(expected):
        result = call({"series": items}, {})["result"]
        assert repr(result) == repr(expected)
    else:
        with pytest.raises(ComputeFault):
            call({"series": items}, {})


@given(finite, finite)
def test_divide_and_safe_divide_agree_wherever_a_quotient_exists(a: float, b: float) -> None:
    exists = b != 0.0 and abs(Fraction(a) / Fraction(b)) < Fraction(2) ** 1023
    if exists:
        quotient = INVENTORY.computes["divide"].call({"a": a, "b": b}, {})
        assert quotient == INVENTORY.computes["safe_divide"].call({"a": a, "b": b}, {"fallback": 1.0})
    elif b == 0.0:
        assert INVENTORY.computes["safe_divide"].call({"a": a, "b": b}, {"fallback": 1.0}) == {"result": 1.0}


@given(st.lists(finite, max_size=20), st.integers(1, 25))
def test_window_is_the_end_of_the_series(items: list[float], size: int) -> None:
    result = INVENTORY.computes["window"].call({"series": items}, {"size": float(size)})["result"]
    assert isinstance(result, list)
    assert len(result) == min(size, len(items))
    assert items[len(items) - len(result) :] == result


def test_readers_refuse_values_of_other_types() -> None:
    values = {"n": 1.0, "i": 2, "b": True, "s": "x", "l": [1.0]}
    assert (number(values, "n"), number(values, "i"), boolean(values, "b")) == (1.0, 2.0, True)
    assert (text(values, "s"), series(values, "l")) == ("x", [1.0])
    for read, wrong in ((number, "b"), (boolean, "n"), (text, "n"), (series, "s")):
        with pytest.raises(TypeError, match=f"'{wrong}' must be a"):
            read(values, wrong)


def test_sources_and_computes_work_without_their_optional_parameters() -> None:
    for id_ in ("number_source", "boolean_source", "string_source"):
        entry = INVENTORY.catalog.get(id_, "0.1.0")
        assert entry is not None
        assert entry.family is Family.SOURCE
        default = entry.parameters[0].default
        assert default is not None
        assert INVENTORY.sources[id_].call({}, {}) == {"value": default.value}
    assert INVENTORY.computes["window"].call({"series": [1.0] * 9}, {}) == {"result": [1.0] * 5}

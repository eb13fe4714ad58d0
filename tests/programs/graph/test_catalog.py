from __future__ import annotations

import pytest

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import Catalog, Metadata, build_inventory, standard_inventory
from ergo_cli.programs.graph.primitives.primitive import (
    ComputeManifest,
    Family,
    InputSpec,
    OutputSpec,
    ParameterSpec,
    ParameterType,
    ParameterValue,
    SourceManifest,
)

IN, OUT = InputSpec("in", ValueType.NUMBER), OutputSpec("out", ValueType.NUMBER)


def metadata(version: str) -> Metadata:
    return Metadata("prim", version, Family.COMPUTE, inputs=(IN,), outputs=(OUT,))


def test_a_catalog_may_hold_any_versions_sorted_as_strings() -> None:
    catalog = Catalog(metadata(version) for version in ("2.0.0", "1.10.0", "1.9.0", "latest"))
    assert catalog.available_versions("prim") == ("1.10.0", "1.9.0", "2.0.0", "latest")
    assert catalog.available_versions("other") == ()
    assert catalog.get("prim", "1.9.0") == metadata("1.9.0")
    assert catalog.get("prim", "1.9") is None


def test_a_catalog_refuses_computes_without_inputs() -> None:
    with pytest.raises(RuleError, match="compute registration failed: Compute 'prim'") as raised:
        Catalog([Metadata("prim", "1.0.0", Family.COMPUTE, outputs=(OUT,))])
    assert (raised.value.code, raised.value.path) == ("CMP-4", "$.inputs")


def test_a_sources_parameter_is_required_exactly_without_a_default() -> None:
    default = ParameterValue(ParameterType.NUMBER, 1.0)
    parameters = (
        ParameterSpec("a", ParameterType.NUMBER, default, required=True),
        ParameterSpec("b", ParameterType.NUMBER),
    )
    entry = Metadata.of(SourceManifest("feed", "0.1.0", outputs=(OUT,), parameters=parameters))
    assert [(spec.name, spec.required) for spec in entry.parameters] == [("a", False), ("b", True)]


def test_a_computes_int_parameter_is_a_number() -> None:
    parameters = (
        ParameterSpec("a", ParameterType.INT, ParameterValue(ParameterType.INT, 3)),
        ParameterSpec("b", ParameterType.INT, required=True),
    )
    entry = Metadata.of(ComputeManifest("c", "0.1.0", inputs=(IN,), outputs=(OUT,), parameters=parameters))
    assert entry.parameters == (
        ParameterSpec("a", ParameterType.NUMBER, ParameterValue(ParameterType.NUMBER, 3.0)),
        ParameterSpec("b", ParameterType.NUMBER, required=True),
    )


def test_the_standard_inventory_is_made_once_and_cannot_be_changed() -> None:
    inventory = standard_inventory()
    assert standard_inventory() is inventory
    with pytest.raises(TypeError):
        inventory.sources["x"] = inventory.sources["number_source"]  # type: ignore[index]  # the point of the test


def test_each_family_finds_its_primitives_by_id() -> None:
    inventory = build_inventory()
    found = [inventory.primitive(id_) for id_ in ("number_source", "add", "emit_if_true", "ack_action")]
    assert [primitive and primitive.manifest.family for primitive in found] == list(Family)

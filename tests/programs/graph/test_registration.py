from __future__ import annotations

import pytest

from ergo_cli.core.values import ValueType
from ergo_cli.programs.graph.check.registration import check, registration_failed
from ergo_cli.programs.graph.primitives.primitive import (
    InputSpec,
    OutputSpec,
    ParameterSpec,
    ParameterType,
    ParameterValue,
    SourceManifest,
    TriggerManifest,
)


def source(**members: object) -> SourceManifest:
    plain = {"id": "feed", "version": "0.1.0", "outputs": (OutputSpec("value", ValueType.NUMBER),)}
    return SourceManifest(**{**plain, **members})


@pytest.mark.parametrize("id_", ["a", "a1", "a_b_", "z9_9"])
def test_ids(id_: str) -> None:
    assert check(source(id=id_)) == []


@pytest.mark.parametrize("id_", ["", "A", "1a", "_a", "a-b", "a b", "ä", "a\n", "a.b"])
def test_bad_ids(id_: str) -> None:
    assert [error.code for error in check(source(id=id_))] == ["SRC-1"]


@pytest.mark.parametrize("version", ["0.0.0", "1.2.3-rc.1+build.5", f"{2**64 - 1}.0.0"])
def test_versions(version: str) -> None:
    assert check(source(version=version)) == []


@pytest.mark.parametrize("version", ["1", "1.2", "v1.2.3", "01.2.3", "1.2.3-01", "^1.0.0", f"{2**64}.0.0", "1.2.3 "])
def test_bad_versions(version: str) -> None:
    assert [error.code for error in check(source(version=version))] == ["SRC-2"]


def test_messages_name_manifest_port_and_what_is_wrong() -> None:
    (error,) = check(source(outputs=(OutputSpec("value", ValueType.EVENT),)))
    assert error.message == "Source 'feed' declares output 'value' of type Event, which it cannot give"
    assert error.fix == "Use a valid output type: number, bool, series, or string"


def test_defaults_are_compared_by_exact_type() -> None:
    int_for_number = ParameterSpec("p", ParameterType.NUMBER, ParameterValue(ParameterType.INT, 1))
    (error,) = check(source(parameters=(int_for_number,)))
    assert error.code == "SRC-15"
    assert error.fix == "Change parameter 'p' default value to match the declared type"


def test_the_first_error_becomes_the_headline_of_its_family() -> None:
    trigger = TriggerManifest(
        "when", "1", inputs=(InputSpec("a", ValueType.STRING),), outputs=(OutputSpec("event", ValueType.EVENT),)
    )
    headline = registration_failed(check(trigger))
    assert headline.message.startswith("trigger registration failed: Trigger 'when'")
    assert (headline.code, headline.details, headline.path) == ("TRG-2", ("InvalidVersion",), "$.version")
    assert [cause.code for cause in headline.causes] == ["TRG-6"]

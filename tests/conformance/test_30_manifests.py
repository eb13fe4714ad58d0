"""Spec 30, manifests of primitives as texts: C-116 … C-120, as far as decoding and registering goes."""

from __future__ import annotations

import pytest

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.registration import check
from ergo_cli.programs.graph.files.manifest_file import decode_manifest, read_manifest
from ergo_cli.programs.graph.primitives.primitive import (
    ActionManifest,
    Cadence,
    ComputeManifest,
    InputSpec,
    OutputSpec,
    ParameterType,
    ParameterValue,
    SourceManifest,
)

SOURCE = """\
kind: source
id: feed
version: 0.1.0
inputs: []
outputs:
  - { name: value, type: number }
parameters:
  - { name: scale, type: number, default: 1.5 }
requires:
  context:
    - { name: price, type: number, required: true }
execution: { deterministic: true, cadence: continuous }
state: { allowed: false }
side_effects: false
"""

COMPUTE = """\
kind: compute
id: twice
version: 0.1.0
inputs:
  - { name: value, type: number, required: true, cardinality: single }
outputs:
  - { name: result, type: number }
parameters:
  - { name: factor, type: number, default: 2.0, required: false, bounds: "> 0" }
execution: { deterministic: true, cadence: continuous, may_error: true }
errors: { allowed: true, types: [DivisionByZero, non_finite_result], deterministic: true }
state: { allowed: false, resettable: false }
side_effects: false
"""

TRIGGER = """\
kind: trigger
id: when
version: 0.1.0
inputs:
  - { name: input, type: bool, required: true }
outputs:
  - { name: event, type: event }
parameters:
  - { name: mode, type: enum, default: rising, required: false }
execution: { deterministic: true, cadence: event }
state: { allowed: false, description: none }
side_effects: false
"""

ACTION = """\
kind: action
id: place
version: 0.1.0
inputs:
  - { name: event, type: event, required: true }
  - { name: qty, type: number, required: true }
outputs:
  - { name: outcome, type: event }
parameters:
  - { name: venue, type: string, default: XETRA, required: false }
effects:
  writes:
    - { name: order_qty, type: number, from_input: qty }
execution: { deterministic: true, retryable: false }
state: { allowed: false }
side_effects: true
"""

ALL = {"source": SOURCE, "compute": COMPUTE, "trigger": TRIGGER, "action": ACTION}


def codes(text: str) -> list[str]:
    """What decoding or, if it decodes, registering refuses the text for."""
    try:
        manifest = read_manifest(text, "m.yaml").manifest
    except RuleError as error:
        return [error.code, *(cause.code for cause in error.causes)]
    return [error.code for error in check(manifest)]


def refusal(text: str, label: str = "m.yaml") -> RuleError:
    with pytest.raises(RuleError) as raised:
        read_manifest(text, label)
    return raised.value


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.mark.parametrize("kind", ALL)
def test_c30_116_valid_manifests_are_valid_with_kind_and_id(kind: str) -> None:
    decoded = read_manifest(ALL[kind], "m.yaml")
    assert check(decoded.manifest) == []
    assert decoded.notices == ()
    assert decoded.manifest.kind == kind
    assert decoded.manifest.id == {"source": "feed", "compute": "twice", "trigger": "when", "action": "place"}[kind]


def test_c30_116_json_is_yaml() -> None:
    text = (
        '{"kind":"source","id":"feed","version":"0.1.0","inputs":[],"outputs":[{"name":"value","type":"bool"}],'
        '"execution":{"deterministic":true,"cadence":"continuous"},"state":{"allowed":false},"side_effects":false}'
    )
    manifest = read_manifest(text, "m.json").manifest
    assert manifest == SourceManifest("feed", "0.1.0", outputs=(OutputSpec("value", ValueType.BOOL),))


def test_c30_117_compute_without_inputs_is_cmp_4() -> None:
    text = changed(
        COMPUTE, "inputs:\n  - { name: value, type: number, required: true, cardinality: single }", "inputs: []"
    )
    assert codes(text) == ["CMP-4"]


@pytest.mark.parametrize(
    ("kind", "old", "new", "code"),
    [
        ("compute", "default: 2.0", "default: true", "CMP-19"),
        ("compute", "default: 2.0", "default: [1.0]", "CMP-19"),
        ("source", "default: 1.5", "default: 'much'", "SRC-15"),
        ("trigger", "default: rising", "default: 3", "TRG-14"),
        ("action", "default: XETRA", "default: 3", "ACT-19"),
    ],
)
def test_c30_117_default_of_another_type_is_refused(kind: str, old: str, new: str, code: str) -> None:
    text = changed(ALL[kind], old, new)
    assert codes(text) == [code]
    try:
        (error,) = check(read_manifest(text, "m.yaml").manifest)
    except RuleError as raised:
        error = raised
    assert error.path == "$.parameters[].default"


@pytest.mark.parametrize(
    ("type_", "default", "value"),
    [
        ("int", "3", ParameterValue(ParameterType.INT, 3)),
        ("int", "3.0", ParameterValue(ParameterType.INT, 3)),
        ("number", "3", ParameterValue(ParameterType.NUMBER, 3.0)),
        ("boolean", "true", ParameterValue(ParameterType.BOOL, True)),
        ("string", "'3'", ParameterValue(ParameterType.STRING, "3")),
        ("enum", "low", ParameterValue(ParameterType.ENUM, "low")),
        ("string", "null", None),
    ],
)
def test_c30_117_matching_defaults_pass(type_: str, default: str, value: ParameterValue | None) -> None:
    text = changed(SOURCE, "type: number, default: 1.5", f"type: {type_}, default: {default}")
    manifest = read_manifest(text, "m.yaml").manifest
    assert check(manifest) == []
    assert manifest.parameters[0].default == value
    assert manifest.parameters[0].required is (value is None)


@pytest.mark.parametrize("default", ["3.5", "1e30"])
def test_c30_117_int_default_has_to_be_whole_and_within_64_bits(default: str) -> None:
    assert codes(changed(SOURCE, "type: number, default: 1.5", f"type: int, default: {default}")) == ["SRC-15"]


@pytest.mark.parametrize(
    ("manifest", "old", "new"),
    [
        (SOURCE, "id: feed", "id: false"),
        (SOURCE, "id: feed", "id: null"),
        (SOURCE, "version: 0.1.0", "version: 1.0"),
        (SOURCE, "name: value", "name: null"),
        (SOURCE, "name: value", "name: 5"),
        (SOURCE, "name: price", "name: true"),
        (COMPUTE, 'bounds: "> 0"', "bounds: 1"),
        (COMPUTE, "types: [DivisionByZero, non_finite_result]", "types: [null]"),
        (ACTION, "from_input: qty", "from_input: 1"),
    ],
)
def test_what_is_written_as_a_name_is_a_string(manifest: str, old: str, new: str) -> None:
    error = refusal(changed(manifest, old, new), "m.yaml")
    assert error.code == "INTERNAL"
    assert "expected a string" in error.message
    assert str(error.where).startswith("m.yaml:")


@pytest.mark.parametrize(
    ("manifest", "old", "new"),
    [
        (SOURCE, "parameters:\n  - { name: scale, type: number, default: 1.5 }\n", "parameters: null\n"),
        (SOURCE, "requires:\n  context:\n    - { name: price, type: number, required: true }\n", "requires: null\n"),
        (SOURCE, "  context:\n    - { name: price, type: number, required: true }\n", "  context: null\n"),
        (ACTION, "  writes:\n    - { name: order_qty, type: number, from_input: qty }\n", "  writes: null\n"),
    ],
)
def test_a_written_null_is_no_empty_list(manifest: str, old: str, new: str) -> None:
    error = refusal(changed(manifest, old, new), "m.yaml")
    assert error.code == "INTERNAL"
    assert "got null" in error.message
    read_manifest(changed(manifest, old, new.replace(" null", "")), "m.yaml")  # an empty value is


@pytest.mark.parametrize(
    "text",
    [
        SOURCE.replace("kind: source\n", ""),
        SOURCE.replace("kind: source", "kind: gizmo"),
        SOURCE.replace("kind: source", "kind: cluster"),
        SOURCE.replace("state: { allowed: false }\n", ""),
        SOURCE.replace("inputs: []\n", ""),
        "kind: [",
        "",
        "- 1",
        "kind: source\nkind: source",
    ],
)
def test_c30_118_what_is_no_manifest_is_internal_and_names_the_file(text: str) -> None:
    error = refusal(text, "folder/feed.yaml")
    assert (error.code, error.phase, error.path) == ("INTERNAL", "registration", None)
    assert "folder/feed.yaml" in error.message
    assert error.fix


def test_c30_118_faults_behind_the_first_are_causes() -> None:
    text = changed(COMPUTE, "type: number, required: true", "type: money, required: true")
    text = changed(text, "- { name: result, type: number }", "- { name: result }\n  - { name: other, type: event }")
    error = refusal(changed(text, "default: 2.0, required: false", "default: 2.0"))
    assert error.code == "CMP-13"
    assert error.where == "m.yaml:5:26 $.inputs[].type"
    assert [cause.code for cause in error.causes] == ["INTERNAL", "INTERNAL"]


def test_c30_119_write_without_from_input_names_the_member() -> None:
    error = refusal(changed(ACTION, ", from_input: qty", ""))
    assert error.code == "INTERNAL"
    assert "from_input" in error.message


def test_c30_119_action_without_effects_has_none() -> None:
    start = ACTION.index("effects:")
    manifest = read_manifest(ACTION[:start] + ACTION[ACTION.index("execution:") :], "m.yaml").manifest
    assert isinstance(manifest, ActionManifest)
    assert (manifest.effects.writes, manifest.effects.intents) == ((), ())


def test_c30_120_words_are_read_in_any_case() -> None:
    text = changed(SOURCE, "kind: source", "kind: Source")
    text = changed(text, "cadence: continuous", "cadence: Continuous")
    text = changed(text, "- { name: value, type: number }", "- { name: value, type: Boolean }")
    manifest = read_manifest(text, "m.yaml").manifest
    assert isinstance(manifest, SourceManifest)
    assert manifest.cadence is Cadence.CONTINUOUS
    assert manifest.outputs == (OutputSpec("value", ValueType.BOOL),)
    assert check(manifest) == []


def test_c30_120_int_parameter_of_a_compute_is_a_number() -> None:
    manifest = read_manifest(changed(COMPUTE, "type: number, default: 2.0", "type: int, default: 3"), "m").manifest
    assert isinstance(manifest, ComputeManifest)
    (factor,) = manifest.parameters
    assert (factor.type, factor.default) == (ParameterType.NUMBER, ParameterValue(ParameterType.NUMBER, 3.0))
    assert isinstance(factor.default and factor.default.value, float)
    assert manifest.inputs == (InputSpec("value", ValueType.NUMBER),)


def test_c30_120_documents_may_come_as_trees() -> None:
    from ergo_cli.core.document_parsers import parse_json

    tree = parse_json('{"id":"feed"}', "feed.json")
    with pytest.raises(RuleError, match=r"'feed\.json'.*kind"):
        decode_manifest(tree, "feed.json")

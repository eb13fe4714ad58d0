from __future__ import annotations

import pytest

from ergo_cli.core.values import IntentFieldSpec, IntentSpec, MirrorWrite, ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.registration import check
from ergo_cli.programs.graph.files.manifest_file import read_manifest
from ergo_cli.programs.graph.primitives.primitive import ActionManifest, ComputeErrorType, ComputeManifest

PORTS = {
    "source": ("[]", "[{name: value, type: number}]"),
    "compute": ("[{name: a, type: number, required: true}]", "[{name: result, type: bool}]"),
    "trigger": ("[{name: a, type: bool, required: true}]", "[{name: event, type: event}]"),
    "action": ("[{name: a, type: event, required: true}]", "[{name: outcome, type: event}]"),
}
TAILS = {
    "source": "{deterministic: true, cadence: continuous}",
    "compute": "{deterministic: true, cadence: continuous, may_error: false}",
    "trigger": "{deterministic: true, cadence: continuous}",
    "action": "{deterministic: true, retryable: false}",
}


def text_of(kind: str, more: str = "", **members: str) -> str:
    inputs, outputs = PORTS[kind]
    written = {
        "kind": kind,
        "id": "thing",
        "version": "0.1.0",
        "inputs": inputs,
        "outputs": outputs,
        "execution": TAILS[kind],
        "state": "{allowed: false, resettable: false}" if kind == "compute" else "{allowed: false}",
        "side_effects": "true" if kind == "action" else "false",
    }
    if kind == "compute":
        written["errors"] = "{allowed: false, deterministic: true}"
    written.update(members)
    return "\n".join(f"{name}: {value}" for name, value in written.items()) + "\n" + more


def verdict(text: str) -> tuple[str, str | None]:
    """Code and path of what refuses the text first."""
    try:
        errors = check(read_manifest(text, "m.yaml").manifest)
    except RuleError as error:
        return error.code, error.path
    return errors[0].code, errors[0].path


@pytest.mark.parametrize("kind", PORTS)
def test_the_plain_texts_are_valid(kind: str) -> None:
    assert check(read_manifest(text_of(kind), "m.yaml").manifest) == []


@pytest.mark.parametrize(
    ("kind", "word", "code"),
    [
        ("source", "number", "SRC-4"),
        ("source", "money", "SRC-4"),
        ("compute", "string", "CMP-13"),
        ("compute", "event", "CMP-13"),
        ("compute", "money", "CMP-13"),
        ("trigger", "string", "TRG-6"),
        ("trigger", "money", "TRG-6"),
        ("action", "money", "ACT-6"),
    ],
)
def test_input_types_a_family_does_not_take(kind: str, word: str, code: str) -> None:
    text = text_of(kind, inputs=f"[{{name: a, type: {word}, required: true}}]")
    assert verdict(text) == (code, "$.inputs" if code == "SRC-4" else "$.inputs[].type")


@pytest.mark.parametrize("word", ["string", "money"])
@pytest.mark.parametrize(("kind", "code"), [("trigger", "TRG-8"), ("action", "ACT-9")])
def test_outputs_of_triggers_and_actions_are_events(kind: str, code: str, word: str) -> None:
    name = "outcome" if kind == "action" else "event"
    text = text_of(kind, outputs=f"[{{name: {name}, type: {word}}}]")
    assert verdict(text) == (code, "$.outputs[0].type")


@pytest.mark.parametrize("word", ["event", "money"])
@pytest.mark.parametrize(("kind", "code"), [("source", "SRC-7"), ("compute", "CMP-20")])
def test_outputs_of_sources_and_computes_are_data(kind: str, code: str, word: str) -> None:
    assert verdict(text_of(kind, outputs=f"[{{name: a, type: {word}}}]")) == (code, "$.outputs[].type")


@pytest.mark.parametrize(
    ("kind", "code"), [("compute", "CMP-14"), ("trigger", "TRG-12"), ("action", "INTERNAL"), ("source", "INTERNAL")]
)
def test_unknown_cardinality(kind: str, code: str) -> None:
    text = text_of(kind, inputs="[{name: a, type: number, required: true, cardinality: some}]")
    assert verdict(text) == (code, "$.inputs[].cardinality")


@pytest.mark.parametrize(("kind", "code"), [("compute", "CMP-14"), ("trigger", "TRG-12"), ("action", "INTERNAL")])
def test_inputs_are_single(kind: str, code: str) -> None:
    text = text_of(kind, inputs="[{name: a, type: event, required: true, cardinality: Multiple}]")
    if kind != "action":
        text = text.replace("type: event, required", "type: number, required")
    assert verdict(text) == (code, "$.inputs[].cardinality")


@pytest.mark.parametrize(
    ("kind", "word", "code"),
    [
        ("source", "event", "SRC-13"),
        ("source", "daily", "SRC-13"),
        ("compute", "event", "CMP-16"),
        ("compute", "daily", "CMP-16"),
        ("trigger", "daily", "INTERNAL"),
    ],
)
def test_cadences_a_family_does_not_have(kind: str, word: str, code: str) -> None:
    text = text_of(kind, execution=TAILS[kind].replace("continuous", word))
    assert verdict(text) == (code, "$.execution.cadence")


@pytest.mark.parametrize("word", ["series", "string", "enum", "money"])
def test_compute_parameters_are_numbers_or_bools(word: str) -> None:
    parameters = f"parameters: [{{name: p, type: {word}, required: true}}]"
    assert verdict(text_of("compute", parameters)) == ("CMP-15", "$.parameters[].type")


@pytest.mark.parametrize("kind", ["source", "trigger", "action"])
def test_other_parameters_are_never_series(kind: str) -> None:
    parameters = "parameters: [{name: p, type: series, required: true}]"
    assert verdict(text_of(kind, parameters)) == ("INTERNAL", "$.parameters[].type")


def test_context_needs_are_data() -> None:
    requires = "requires: {context: [{name: x, type: event, required: true}]}"
    assert verdict(text_of("source", requires)) == ("INTERNAL", "$.requires.context[].type")


@pytest.mark.parametrize("word", ["event", "money"])
def test_writes_are_data(word: str) -> None:
    effects = f"effects: {{writes: [{{name: k, type: {word}, from_input: a}}]}}"
    assert verdict(text_of("action", effects)) == ("ACT-15", "$.effects.writes[].type")


def test_compute_errors_have_two_spellings() -> None:
    types = "DivisionByZero, non_finite_result, invalid_parameter"
    text = text_of("compute", errors=f"{{allowed: true, deterministic: true, types: [{types}]}}")
    manifest = read_manifest(text, "m.yaml").manifest
    assert isinstance(manifest, ComputeManifest)
    assert manifest.error_types == tuple(ComputeErrorType)


def test_unknown_compute_error() -> None:
    text = text_of("compute", errors="{allowed: true, deterministic: true, types: [Boredom]}")
    assert verdict(text) == ("INTERNAL", "$.errors.types[]")


INTENTS = """\
parameters:
  - { name: venue, type: string, required: true }
effects:
  writes:
    - { name: order_qty, type: number, from_input: qty }
  intents:
    - name: place_order
      fields:
        - { name: qty, type: number, from_input: qty }
        - { name: venue, type: string, from_param: venue }
      mirror_writes:
        - { name: last_venue, type: string, from_field: venue }
    - name: ping
"""
ORDER_INPUTS = "[{name: event, type: event, required: true}, {name: qty, type: number, required: true}]"


def test_intents_and_mirror_writes_are_read() -> None:
    manifest = read_manifest(text_of("action", INTENTS, inputs=ORDER_INPUTS), "m.yaml").manifest
    assert isinstance(manifest, ActionManifest)
    assert check(manifest) == []
    assert manifest.effects.intents == (
        IntentSpec(
            "place_order",
            fields=(
                IntentFieldSpec("qty", ValueType.NUMBER, from_input="qty"),
                IntentFieldSpec("venue", ValueType.STRING, from_param="venue"),
            ),
            mirror_writes=(MirrorWrite("last_venue", ValueType.STRING, from_field="venue"),),
        ),
        IntentSpec("ping"),
    )


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (", from_param: venue }", " }", "ACT-26"),
        ("from_field: venue", "from_field: gone", "ACT-32"),
        ("{ name: qty, type: number, from_input", "{ name: qty, type: money, from_input", "INTERNAL"),
        ("last_venue, type: string", "last_venue, type: event", "INTERNAL"),
    ],
)
def test_intents_of_files_obey_the_rules(old: str, new: str, code: str) -> None:
    text = INTENTS.replace(old, new)
    assert text != INTENTS
    assert verdict(text_of("action", text, inputs=ORDER_INPUTS))[0] == code


def test_unknown_members_are_notices_with_place_and_path() -> None:
    text = text_of("source", "extra: 1", outputs="[{name: value, type: number, unit: m}]")
    notices = read_manifest(text, "m.yaml").notices
    assert [notice.where for notice in notices] == ["m.yaml:9:1 extra", "m.yaml:5:39 outputs[0].unit"]
    assert all("is ignored" in notice.message for notice in notices)


def test_errors_of_a_text_say_where_in_the_text() -> None:
    with pytest.raises(RuleError) as raised:
        read_manifest(text_of("compute", side_effects="maybe"), "m.yaml")
    assert raised.value.where == "m.yaml:8:15 side_effects"

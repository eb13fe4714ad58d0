"""Spec 20 §17, registration: C-4 … C-12."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ergo_cli.core.values import (
    ContextNeed,
    EffectSpecs,
    IntentFieldSpec,
    IntentSpec,
    MirrorWrite,
    ValueType,
    WriteSpec,
)
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import Catalog, Metadata, build_inventory, standard_inventory
from ergo_cli.programs.graph.check.registration import check
from ergo_cli.programs.graph.primitives.primitive import (
    ActionManifest,
    ActionOutcome,
    Cadence,
    Cardinality,
    ComputeManifest,
    Family,
    InputSpec,
    Manifest,
    OutputSpec,
    ParameterSpec,
    ParameterType,
    ParameterValue,
    Primitive,
    SourceManifest,
    TriggerEvent,
    TriggerManifest,
)

NUMBER, SERIES, BOOL, STRING, EVENT = (
    ValueType.NUMBER,
    ValueType.SERIES,
    ValueType.BOOL,
    ValueType.STRING,
    ValueType.EVENT,
)
DATA = (NUMBER, SERIES, BOOL, STRING)

SOURCE = SourceManifest("feed", "0.1.0", outputs=(OutputSpec("value", NUMBER),))
COMPUTE = ComputeManifest(
    "twice", "0.1.0", inputs=(InputSpec("value", NUMBER),), outputs=(OutputSpec("result", NUMBER),)
)
TRIGGER = TriggerManifest("when", "0.1.0", inputs=(InputSpec("input", BOOL),), outputs=(OutputSpec("event", EVENT),))
GATE = InputSpec("event", EVENT)
OUTCOME = OutputSpec("outcome", EVENT)
ACTION = ActionManifest("act", "0.1.0", inputs=(GATE,), outputs=(OUTCOME,))


def parameter(type_: ParameterType, default: ParameterValue | None = None, name: str = "p") -> ParameterSpec:
    return ParameterSpec(name, type_, default)


def string_parameter(name: str = "key") -> ParameterSpec:
    return parameter(ParameterType.STRING, name=name)


WRONG_DEFAULT = (parameter(ParameterType.NUMBER, ParameterValue(ParameterType.BOOL, True)),)
NUMBER_KEY = (parameter(ParameterType.NUMBER, name="key"),)


def verdicts(manifest: Manifest) -> list[tuple[str, str, str | None]]:
    return [(error.code, error.details[0], error.path) for error in check(manifest)]


def refused(manifest: Manifest, code: str, variant: str, path: str) -> None:
    """Exactly this rule is broken, and the error says so in full."""
    (error,) = check(manifest)
    assert (error.code, error.rule, error.phase) == (code, code, "registration")
    assert (error.details, error.path) == ((variant,), path)
    assert error.fix
    assert manifest.id in error.message


SOURCE_BREACHES = {
    "SRC-1": (replace(SOURCE, id="BadId"), "InvalidId", "$.id"),
    "SRC-2": (replace(SOURCE, version="0.1"), "InvalidVersion", "$.version"),
    "SRC-3": (replace(SOURCE, kind="compute"), "WrongKind", "$.kind"),
    "SRC-4": (replace(SOURCE, inputs=(InputSpec("a", NUMBER),)), "InputsNotAllowed", "$.inputs"),
    "SRC-5": (replace(SOURCE, outputs=()), "OutputsRequired", "$.outputs"),
    "SRC-6": (
        replace(SOURCE, outputs=(*SOURCE.outputs, OutputSpec("other", BOOL), *SOURCE.outputs)),
        "DuplicateOutput",
        "$.outputs[2].name",
    ),
    "SRC-7": (replace(SOURCE, outputs=(OutputSpec("value", EVENT),)), "InvalidOutputType", "$.outputs[].type"),
    "SRC-8": (replace(SOURCE, state_allowed=True), "StateNotAllowed", "$.state.allowed"),
    "SRC-9": (replace(SOURCE, side_effects=True), "SideEffectsNotAllowed", "$.side_effects"),
    "SRC-12": (replace(SOURCE, deterministic=False), "NonDeterministicExecution", "$.execution.deterministic"),
    "SRC-13": (replace(SOURCE, cadence=Cadence.EVENT), "InvalidCadence", "$.execution.cadence"),
    "SRC-15": (replace(SOURCE, parameters=WRONG_DEFAULT), "InvalidParameterType", "$.parameters[].default"),
    "SRC-16": (
        replace(SOURCE, requires=(ContextNeed("$key", NUMBER, required=True),)),
        "UnboundContextKeyReference",
        "$.requires.context[].name",
    ),
    "SRC-17": (
        replace(SOURCE, requires=(ContextNeed("$key", NUMBER, required=True),), parameters=NUMBER_KEY),
        "ContextKeyReferenceNotString",
        "$.requires.context[].name",
    ),
}


@pytest.mark.parametrize("code", SOURCE_BREACHES)
def test_c20_4_each_source_rule_refuses_what_breaks_it_alone(code: str) -> None:
    manifest, variant, path = SOURCE_BREACHES[code]
    refused(manifest, code, variant, path)


def test_c20_4_taken_source_id_is_src_14() -> None:
    (error,) = check(SOURCE, registered={"feed"})
    assert (error.code, error.details, error.path) == ("SRC-14", ("DuplicateId",), "$.id")


def test_c20_4_key_bound_to_a_string_parameter_is_accepted() -> None:
    need = ContextNeed("$key", NUMBER, required=True)
    assert check(replace(SOURCE, requires=(need,), parameters=(string_parameter(),))) == []


COMPUTE_BREACHES = {
    "CMP-1": (replace(COMPUTE, id="2x"), "InvalidId", "$.id"),
    "CMP-2": (replace(COMPUTE, version="01.0.0"), "InvalidVersion", "$.version"),
    "CMP-3": (replace(COMPUTE, kind="Compute"), "WrongKind", "$.kind"),
    "CMP-4": (replace(COMPUTE, inputs=()), "NoInputsDeclared", "$.inputs"),
    "CMP-5": (replace(COMPUTE, inputs=COMPUTE.inputs * 2), "DuplicateInput", "$.inputs[1].name"),
    "CMP-6": (replace(COMPUTE, outputs=()), "NoOutputsDeclared", "$.outputs"),
    "CMP-7": (replace(COMPUTE, outputs=COMPUTE.outputs * 2), "DuplicateOutput", "$.outputs[1].name"),
    "CMP-8": (replace(COMPUTE, side_effects=True), "SideEffectsNotAllowed", "$.side_effects"),
    "CMP-9": (replace(COMPUTE, state_allowed=True), "StateNotResettable", "$.state.resettable"),
    "CMP-10": (
        replace(COMPUTE, errors_allowed=True, errors_deterministic=False),
        "NonDeterministicErrors",
        "$.errors.deterministic",
    ),
    "CMP-13": (replace(COMPUTE, inputs=(InputSpec("a", STRING),)), "InvalidInputType", "$.inputs[].type"),
    "CMP-14": (
        replace(COMPUTE, inputs=(InputSpec("a", NUMBER, cardinality=Cardinality.MULTIPLE),)),
        "InvalidInputCardinality",
        "$.inputs[].cardinality",
    ),
    "CMP-15": (
        replace(COMPUTE, parameters=(parameter(ParameterType.STRING),)),
        "UnsupportedParameterType",
        "$.parameters[].type",
    ),
    "CMP-16": (replace(COMPUTE, cadence=Cadence.EVENT), "InvalidCadence", "$.execution.cadence"),
    "CMP-17": (replace(COMPUTE, deterministic=False), "NonDeterministicExecution", "$.execution.deterministic"),
    "CMP-19": (replace(COMPUTE, parameters=WRONG_DEFAULT), "InvalidParameterType", "$.parameters[].default"),
    "CMP-20": (replace(COMPUTE, outputs=(OutputSpec("e", EVENT),)), "InvalidOutputType", "$.outputs[].type"),
}


@pytest.mark.parametrize("code", COMPUTE_BREACHES)
def test_c20_5_each_compute_rule_refuses_what_breaks_it_alone(code: str) -> None:
    manifest, variant, path = COMPUTE_BREACHES[code]
    refused(manifest, code, variant, path)


def test_c20_5_taken_compute_id_is_cmp_18() -> None:
    assert [error.code for error in check(COMPUTE, registered={"twice"})] == ["CMP-18"]


@pytest.mark.parametrize("type_", DATA)
def test_c20_5_all_four_output_types_are_accepted(type_: ValueType) -> None:
    assert check(replace(COMPUTE, outputs=(OutputSpec("result", type_),))) == []


def test_c20_5_fix_texts_are_the_prescribed_ones() -> None:
    wordings = {code: check(COMPUTE_BREACHES[code][0])[0].fix for code in ("CMP-15", "CMP-19", "CMP-20")}
    assert wordings == {
        "CMP-15": "Change parameter 'p' type to int, number, or bool",
        "CMP-19": "Change parameter 'p' default value to match the declared type",
        "CMP-20": "Use a valid output type: number, bool, series, or string",
    }


def test_c20_5_all_breaches_are_collected_in_rule_order_item_by_item() -> None:
    bad = InputSpec("a", STRING, cardinality=Cardinality.MULTIPLE)
    manifest = replace(
        COMPUTE, id="Bad", version="1", inputs=(bad, bad), outputs=(OutputSpec("r", EVENT),) * 2, side_effects=True
    )
    codes = [code for code, _, _ in verdicts(manifest)]
    per_input = ["CMP-13", "CMP-14", "CMP-5", "CMP-13", "CMP-14"]
    assert codes == ["CMP-1", "CMP-2", "CMP-8", *per_input, "CMP-20", "CMP-7", "CMP-20"]


TRIGGER_BREACHES = {
    "TRG-1": (replace(TRIGGER, id=""), "InvalidId", "$.id"),
    "TRG-2": (replace(TRIGGER, version="1.0.0.0"), "InvalidVersion", "$.version"),
    "TRG-3": (replace(TRIGGER, kind="action"), "WrongKind", "$.kind"),
    "TRG-4": (replace(TRIGGER, inputs=()), "NoInputsDeclared", "$.inputs"),
    "TRG-5": (replace(TRIGGER, inputs=TRIGGER.inputs * 2), "DuplicateInput", "$.inputs[1].name"),
    "TRG-6": (replace(TRIGGER, inputs=(InputSpec("a", STRING),)), "InvalidInputType", "$.inputs[].type"),
    "TRG-7": (replace(TRIGGER, outputs=()), "TriggerWrongOutputCount", "$.outputs"),
    "TRG-8": (replace(TRIGGER, outputs=(OutputSpec("event", BOOL),)), "InvalidOutputType", "$.outputs[0].type"),
    "TRG-9": (replace(TRIGGER, state_allowed=True), "StatefulTriggerNotAllowed", "$.state.allowed"),
    "TRG-10": (replace(TRIGGER, side_effects=True), "SideEffectsNotAllowed", "$.side_effects"),
    "TRG-11": (replace(TRIGGER, deterministic=False), "NonDeterministicExecution", "$.execution.deterministic"),
    "TRG-12": (
        replace(TRIGGER, inputs=(InputSpec("a", BOOL, cardinality=Cardinality.MULTIPLE),)),
        "InvalidInputCardinality",
        "$.inputs[].cardinality",
    ),
    "TRG-14": (replace(TRIGGER, parameters=WRONG_DEFAULT), "InvalidParameterType", "$.parameters[].default"),
}


@pytest.mark.parametrize("code", TRIGGER_BREACHES)
def test_c20_6_each_trigger_rule_refuses_what_breaks_it_alone(code: str) -> None:
    manifest, variant, path = TRIGGER_BREACHES[code]
    refused(manifest, code, variant, path)


def test_c20_6_taken_trigger_id_is_trg_13() -> None:
    assert [error.code for error in check(TRIGGER, registered={"when"})] == ["TRG-13"]


@pytest.mark.parametrize("type_", [NUMBER, SERIES, BOOL, EVENT])
@pytest.mark.parametrize("cadence", Cadence)
def test_c20_6_all_four_input_types_and_both_cadences_are_accepted(type_: ValueType, cadence: Cadence) -> None:
    assert check(replace(TRIGGER, inputs=(InputSpec("a", type_),), cadence=cadence)) == []


def writing(name: str = "k", type_: ValueType = NUMBER, from_input: str = "v", port: ValueType = NUMBER):
    return replace(
        ACTION,
        inputs=(GATE, InputSpec("v", port)),
        effects=EffectSpecs(writes=(WriteSpec(name, type_, from_input),)),
    )


ACTION_BREACHES = {
    "ACT-1": (replace(ACTION, id="act-1"), "InvalidId", "$.id"),
    "ACT-2": (replace(ACTION, version=""), "InvalidVersion", "$.version"),
    "ACT-3": (replace(ACTION, kind="source"), "WrongKind", "$.kind"),
    "ACT-4": (replace(ACTION, inputs=(InputSpec("v", NUMBER),)), "EventInputRequired", "$.inputs"),
    "ACT-5": (replace(ACTION, inputs=(GATE, GATE)), "DuplicateInput", "$.inputs[1].name"),
    "ACT-7": (replace(ACTION, outputs=(OUTCOME, OUTCOME)), "UndeclaredOutput", "$.outputs"),
    "ACT-8": (replace(ACTION, outputs=(OutputSpec("event", EVENT),)), "OutputNotOutcome", "$.outputs[0].name"),
    "ACT-9": (replace(ACTION, outputs=(OutputSpec("outcome", BOOL),)), "InvalidOutputType", "$.outputs[0].type"),
    "ACT-10": (replace(ACTION, state_allowed=True), "StateNotAllowed", "$.state.allowed"),
    "ACT-11": (replace(ACTION, side_effects=False), "SideEffectsRequired", "$.side_effects"),
    "ACT-14": (
        replace(writing(), effects=EffectSpecs(writes=(WriteSpec("k", NUMBER, "v"),) * 2)),
        "DuplicateWriteName",
        "$.effects.writes[1].name",
    ),
    "ACT-16": (replace(ACTION, retryable=True), "RetryNotAllowed", "$.execution.retryable"),
    "ACT-17": (replace(ACTION, deterministic=False), "NonDeterministicExecution", "$.execution.deterministic"),
    "ACT-19": (replace(ACTION, parameters=WRONG_DEFAULT), "InvalidParameterType", "$.parameters[].default"),
    "ACT-20": (writing("$key"), "UnboundWriteKeyReference", "$.effects.writes[].name"),
    "ACT-21": (
        replace(writing("$key"), parameters=NUMBER_KEY),
        "WriteKeyReferenceNotString",
        "$.effects.writes[].name",
    ),
    "ACT-22": (writing(from_input="gone"), "WriteFromInputNotFound", "$.effects.writes[].from_input"),
    "ACT-23": (writing(port=BOOL), "WriteFromInputTypeMismatch", "$.effects.writes[].from_input"),
}


@pytest.mark.parametrize("code", ACTION_BREACHES)
def test_c20_7_each_action_rule_refuses_what_breaks_it_alone(code: str) -> None:
    manifest, variant, path = ACTION_BREACHES[code]
    refused(manifest, code, variant, path)


def test_c20_7_taken_action_id_is_act_18() -> None:
    assert [error.code for error in check(ACTION, registered={"act"})] == ["ACT-18"]


def test_c20_7_event_as_write_is_no_data_and_no_source() -> None:
    refused(writing(from_input="event"), "ACT-23", "WriteFromInputTypeMismatch", "$.effects.writes[].from_input")
    codes = [code for code, _, _ in verdicts(writing(type_=EVENT, from_input="event"))]
    assert codes == ["ACT-15", "ACT-23"]


@pytest.mark.parametrize("type_", DATA)
def test_c20_7_all_four_write_types_are_accepted_series_from_series_too(type_: ValueType) -> None:
    assert check(writing(type_=type_, port=type_)) == []


def test_c20_7_write_key_bound_to_a_string_parameter_is_accepted() -> None:
    assert check(replace(writing("$key"), parameters=(string_parameter(),))) == []


FIELD = IntentFieldSpec("qty", NUMBER, from_input="v")


def intending(*intents: IntentSpec, parameters: tuple[ParameterSpec, ...] = ()) -> ActionManifest:
    inputs = (GATE, InputSpec("v", NUMBER))
    return replace(ACTION, inputs=inputs, parameters=parameters, effects=EffectSpecs(intents=intents))


def with_field(field: IntentFieldSpec, *parameters: ParameterSpec) -> ActionManifest:
    return intending(IntentSpec("order", fields=(field,)), parameters=parameters)


def with_mirror(mirror: MirrorWrite) -> ActionManifest:
    return intending(IntentSpec("order", fields=(FIELD,), mirror_writes=(mirror,)))


ORDER = '$.effects.intents[?(@.name=="order")]'
INTENT_BREACHES = [
    ("ACT-24", intending(IntentSpec("a"), IntentSpec("b"), IntentSpec("a")), "DuplicateIntentName", None),
    (
        "ACT-25",
        intending(IntentSpec("order", fields=(FIELD, FIELD))),
        "DuplicateIntentFieldName",
        f"{ORDER}.fields[1].name",
    ),
    ("ACT-26", with_field(IntentFieldSpec("qty", NUMBER)), "IntentFieldMissingSource", f"{ORDER}.fields[]"),
    (
        "ACT-27",
        with_field(IntentFieldSpec("qty", NUMBER, from_input="v", from_param="p"), parameter(ParameterType.NUMBER)),
        "IntentFieldMultipleSources",
        f"{ORDER}.fields[]",
    ),
    (
        "ACT-28",
        with_field(IntentFieldSpec("qty", NUMBER, from_input="gone")),
        "IntentFieldFromInputNotFound",
        f"{ORDER}.fields[].from_input",
    ),
    (
        "ACT-29",
        with_field(IntentFieldSpec("qty", STRING, from_input="v")),
        "IntentFieldFromInputTypeMismatch",
        f"{ORDER}.fields[].from_input",
    ),
    (
        "ACT-29",
        with_field(IntentFieldSpec("qty", EVENT, from_input="event")),
        "IntentFieldFromInputTypeMismatch",
        f"{ORDER}.fields[].from_input",
    ),
    (
        "ACT-30",
        with_field(IntentFieldSpec("qty", NUMBER, from_param="gone")),
        "IntentFieldFromParamNotFound",
        f"{ORDER}.fields[].from_param",
    ),
    *(
        (
            "ACT-31",
            with_field(IntentFieldSpec("qty", field, from_param="p"), parameter(type_)),
            "IntentFieldFromParamTypeMismatch",
            f"{ORDER}.fields[].from_param",
        )
        for field, type_ in (
            (STRING, ParameterType.NUMBER),
            (NUMBER, ParameterType.INT),
            (STRING, ParameterType.ENUM),
            (SERIES, ParameterType.SERIES),
        )
    ),
    (
        "ACT-32",
        with_mirror(MirrorWrite("last", NUMBER, from_field="gone")),
        "MirrorWriteFromFieldNotFound",
        f"{ORDER}.mirror_writes[]",
    ),
    (
        "ACT-33",
        with_mirror(MirrorWrite("last", STRING, from_field="qty")),
        "MirrorWriteTypeMismatch",
        f"{ORDER}.mirror_writes[]",
    ),
]


@pytest.mark.parametrize(("code", "manifest", "variant", "path"), INTENT_BREACHES)
def test_c20_8_each_intent_rule_refuses_what_breaks_it_alone(
    code: str, manifest: ActionManifest, variant: str, path: str | None
) -> None:
    refused(manifest, code, variant, path or "$.effects.intents[2].name")


def test_c20_8_fields_from_inputs_and_parameters_and_mirror_writes_are_accepted() -> None:
    fields = (FIELD, IntentFieldSpec("venue", STRING, from_param="venue"))
    intent = IntentSpec("order", fields=fields, mirror_writes=(MirrorWrite("$anything", STRING, "venue"),) * 2)
    assert check(intending(intent, IntentSpec("bare"), parameters=(string_parameter("venue"),))) == []


@pytest.mark.parametrize("type_", [ParameterType.SERIES, ParameterType.STRING, ParameterType.ENUM])
def test_c20_9_compute_parameters_are_numbers_or_bools_in_the_catalog_too(type_: ParameterType) -> None:
    manifest = replace(COMPUTE, parameters=(parameter(type_),))
    refused(manifest, "CMP-15", "UnsupportedParameterType", "$.parameters[].type")
    with pytest.raises(RuleError) as raised:
        Catalog([Metadata.of(manifest)])
    assert raised.value.code == "CMP-15"


@pytest.mark.parametrize("manifest", [SOURCE, TRIGGER, ACTION, COMPUTE], ids=lambda manifest: manifest.id)
def test_c20_10_matching_defaults_are_accepted_for_every_family(manifest: Manifest) -> None:
    values = [
        ParameterValue(ParameterType.NUMBER, 1.5),
        ParameterValue(ParameterType.BOOL, False),
        ParameterValue(ParameterType.INT, 3),
    ]
    if manifest is not COMPUTE:
        values += [ParameterValue(ParameterType.STRING, ""), ParameterValue(ParameterType.ENUM, "a")]
    specs = tuple(parameter(value.type, value, name=f"p{index}") for index, value in enumerate(values))
    assert check(replace(manifest, parameters=specs)) == []


EXTRAS = (
    Primitive(ACTION, lambda inputs, params: {"outcome": ActionOutcome.FAILED}),
    Primitive(TRIGGER, lambda inputs, params: {"event": TriggerEvent.EMITTED}),
    Primitive(COMPUTE, lambda inputs, params: {"result": 0.0}),
    Primitive(SOURCE, lambda params, context: {"value": 0.0}),
)


def test_c20_11_extras_of_each_family_are_found_in_registry_and_catalog() -> None:
    inventory = build_inventory(EXTRAS)
    for extra in EXTRAS:
        assert inventory.primitive(extra.manifest.id) is extra
        metadata = inventory.catalog.get(extra.manifest.id, "0.1.0")
        assert metadata is not None
        assert metadata.family is extra.manifest.family
    assert list(inventory.sources)[-1] == "feed"
    assert inventory.primitive("nothing") is None


def test_c20_11_bad_id_is_src_1_and_the_message_names_the_family() -> None:
    with pytest.raises(RuleError, match=r"^source registration failed: Source 'BadId'") as raised:
        build_inventory([Primitive(replace(SOURCE, id="BadId"), EXTRAS[3].call)])
    assert (raised.value.code, raised.value.path, raised.value.details) == ("SRC-1", "$.id", ("InvalidId",))


@pytest.mark.parametrize(("extra", "code"), list(zip(EXTRAS, ("ACT-18", "TRG-13", "CMP-18", "SRC-14"), strict=True)))
def test_c20_11_a_second_version_of_an_id_is_a_duplicate(extra: Primitive, code: str) -> None:
    other = Primitive(replace(extra.manifest, version="0.2.0"), extra.call)
    with pytest.raises(RuleError) as raised:
        build_inventory([extra, other])
    assert raised.value.code == code


def test_c20_11_core_ids_are_taken_in_every_version_and_for_every_family() -> None:
    source = Primitive(replace(SOURCE, id="number_source", version="9.9.9"), EXTRAS[3].call)
    other_family = Primitive(replace(SOURCE, id="add"), EXTRAS[3].call)
    with pytest.raises(RuleError) as raised:
        build_inventory([source, other_family])
    assert raised.value.code == "SRC-14"
    assert [cause.code for cause in raised.value.causes] == ["SRC-14"]


def test_c20_11_errors_come_family_by_family_whatever_the_order_of_the_extras() -> None:
    broken = [Primitive(replace(extra.manifest, version="x"), extra.call) for extra in EXTRAS]
    with pytest.raises(RuleError) as raised:
        build_inventory(broken)
    assert raised.value.code == "SRC-2"
    assert [cause.code for cause in raised.value.causes] == ["CMP-2", "TRG-2", "ACT-2"]


def test_c20_12_registries_and_catalog_have_the_same_keys_per_family() -> None:
    inventory = standard_inventory()
    registries = {
        Family.SOURCE: inventory.sources,
        Family.COMPUTE: inventory.computes,
        Family.TRIGGER: inventory.triggers,
        Family.ACTION: inventory.actions,
    }
    for family, registry in registries.items():
        keys = {(id_, primitive.manifest.version) for id_, primitive in registry.items()}
        assert keys == {(entry.id, entry.version) for entry in inventory.catalog if entry.family is family}
    assert [len(registry) for registry in registries.values()] == [7, 27, 2, 6]

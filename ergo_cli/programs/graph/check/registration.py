"""Which manifests may be registered: the rules of each family, in their order (spec 20 §4.2)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Protocol

from ergo_cli.core.diagnostics import repeats
from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.rules import (
    FAMILY_OF_PREFIX,
    VALUES,
    Check,
    Subject,
    broken,
    continuous,
    default_mismatch,
    default_rule,
    deterministic,
    duplicate_id,
    identity_rules,
    input_rules,
    input_type,
    intent_rules,
    key_reference,
    no_side_effects,
    not_an_event,
    output_rules,
    output_type,
    refuse_if,
    unique_input,
    write_rules,
)
from ergo_cli.programs.graph.primitives.primitive import (
    ActionManifest,
    Cadence,
    ComputeManifest,
    Family,
    InputSpec,
    Manifest,
    ParameterSpec,
    ParameterType,
    SourceManifest,
    TriggerManifest,
)


def _context_keys(manifest: SourceManifest) -> Iterator[RuleError]:
    for need in manifest.requires:
        yield from key_reference(
            manifest,
            need.name,
            manifest.parameters,
            path="$.requires.context[].name",
            unbound=("SRC-16", "UnboundContextKeyReference"),
            not_string=("SRC-17", "ContextKeyReferenceNotString"),
        )


SOURCE_RULES: tuple[Check[SourceManifest], ...] = (
    identity_rules,
    refuse_if(
        "SRC-4",
        "InputsNotAllowed",
        "$.inputs",
        lambda source: bool(source.inputs),
        "declares inputs, but a source has none",
        "Remove the inputs, or make it a compute",
    ),
    refuse_if(
        "SRC-5",
        "OutputsRequired",
        "$.outputs",
        lambda source: not source.outputs,
        "declares no outputs",
        "Declare at least one output",
    ),
    output_rules(duplicate="SRC-6", type_rule="SRC-7"),
    default_rule("SRC-15"),
    _context_keys,
    no_side_effects("SRC-9"),
    deterministic("SRC-12"),
    continuous("SRC-13"),
    refuse_if(
        "SRC-8",
        "StateNotAllowed",
        "$.state.allowed",
        lambda source: source.state_allowed,
        "declares state, which no source may have",
        "Set state.allowed to false",
    ),
)

COMPUTE_INPUTS = (ValueType.NUMBER, ValueType.BOOL, ValueType.SERIES)
_PARAMETER_TYPES = (ParameterType.INT, ParameterType.NUMBER, ParameterType.BOOL)


class ComputeShape(Subject, Protocol):
    """What CMP-4 and CMP-15 look at: a manifest, or the metadata that a catalog is given directly."""

    @property
    def inputs(self) -> Sequence[InputSpec]: ...  # noqa: D102
    @property
    def parameters(self) -> Sequence[ParameterSpec]: ...  # noqa: D102


def compute_shape(compute: ComputeShape) -> Iterator[RuleError]:
    """CMP-4 and CMP-15, which also guard the catalog (X.7, X.10)."""
    yield from _some_input(compute)
    for parameter in compute.parameters:
        if parameter.type not in _PARAMETER_TYPES:
            yield unsupported_parameter(compute, parameter.name, parameter.type.value)


def unsupported_parameter(subject: Subject, name: str, got: str) -> RuleError:
    """The error of a compute's parameter that is neither a number nor a bool (CMP-15)."""
    sentence = f"declares parameter '{name}' of type {got}, which no compute takes"
    fix = f"Change parameter '{name}' type to int, number, or bool"
    return broken(subject, "CMP-15", "UnsupportedParameterType", "$.parameters[].type", sentence, fix)


def _parameters(compute: ComputeManifest) -> Iterator[RuleError]:
    for parameter in compute.parameters:
        if parameter.type not in _PARAMETER_TYPES:
            yield unsupported_parameter(compute, parameter.name, parameter.type.value)
        if parameter.default is not None and parameter.default.type is not parameter.type:
            yield default_mismatch(
                compute, "CMP-19", parameter.name, parameter.type.value, parameter.default.type.value
            )


def _some_input(compute: ComputeShape) -> Iterator[RuleError]:
    if not compute.inputs:
        yield broken(
            compute,
            "CMP-4",
            "NoInputsDeclared",
            "$.inputs",
            "declares no inputs",
            "Declare at least one input; it may be optional",
        )


COMPUTE_RULES: tuple[Check[ComputeManifest], ...] = (
    identity_rules,
    continuous("CMP-16"),
    no_side_effects("CMP-8"),
    deterministic("CMP-17"),
    refuse_if(
        "CMP-10",
        "NonDeterministicErrors",
        "$.errors.deterministic",
        lambda compute: compute.errors_allowed and not compute.errors_deterministic,
        "may fail, but not deterministically",
        "Set errors.deterministic to true",
    ),
    _some_input,
    refuse_if(
        "CMP-6",
        "NoOutputsDeclared",
        "$.outputs",
        lambda compute: not compute.outputs,
        "declares no outputs",
        "Declare at least one output",
    ),
    input_rules(duplicate="CMP-5", type_rule="CMP-13", allowed=COMPUTE_INPUTS, cardinality="CMP-14"),
    output_rules(duplicate="CMP-7", type_rule="CMP-20"),
    _parameters,
    refuse_if(
        "CMP-9",
        "StateNotResettable",
        "$.state.resettable",
        lambda compute: compute.state_allowed and not compute.state_resettable,
        "declares state that cannot be reset",
        "Set state.resettable to true, or state.allowed to false",
    ),
)

TRIGGER_INPUTS = (ValueType.NUMBER, ValueType.BOOL, ValueType.SERIES, ValueType.EVENT)


def _one_event(trigger: TriggerManifest) -> Iterator[RuleError]:
    if len(trigger.outputs) != 1:
        sentence = f"declares {len(trigger.outputs)} outputs instead of one"
        fix = "Declare exactly one output of type event"
        yield broken(trigger, "TRG-7", "TriggerWrongOutputCount", "$.outputs", sentence, fix)
    elif trigger.outputs[0].type is not ValueType.EVENT:
        yield not_an_event(trigger, "TRG-8", trigger.outputs[0].name, trigger.outputs[0].type.value)


TRIGGER_RULES: tuple[Check[TriggerManifest], ...] = (
    identity_rules,
    refuse_if(
        "TRG-4",
        "NoInputsDeclared",
        "$.inputs",
        lambda trigger: not trigger.inputs,
        "declares no inputs",
        "Declare at least one input",
    ),
    input_rules(duplicate="TRG-5", type_rule="TRG-6", allowed=TRIGGER_INPUTS, cardinality="TRG-12"),
    default_rule("TRG-14"),
    no_side_effects("TRG-10"),
    deterministic("TRG-11"),
    refuse_if(
        "TRG-9",
        "StatefulTriggerNotAllowed",
        "$.state.allowed",
        lambda trigger: trigger.state_allowed,
        "declares state, which no trigger may have",
        "Set state.allowed to false; remember through the context instead",
    ),
    _one_event,
)


def _unique_inputs(action: ActionManifest) -> Iterator[RuleError]:
    repeated = repeats(port.name for port in action.inputs)
    for index, port in enumerate(action.inputs):
        if index in repeated:
            yield unique_input(action, "ACT-5", index, port.name)


def _outcome(action: ActionManifest) -> Iterator[RuleError]:
    if len(action.outputs) != 1:
        sentence = f"declares {len(action.outputs)} outputs instead of one"
        fix = "Declare exactly one output, 'outcome' of type event"
        yield broken(action, "ACT-7", "UndeclaredOutput", "$.outputs", sentence, fix)
        return
    output = action.outputs[0]
    if output.name != "outcome":
        sentence, fix = f"calls its output '{output.name}'", "Call the output 'outcome'"
        yield broken(action, "ACT-8", "OutputNotOutcome", "$.outputs[0].name", sentence, fix)
    if output.type is not ValueType.EVENT:
        yield not_an_event(action, "ACT-9", output.name, output.type.value)


ACTION_RULES: tuple[Check[ActionManifest], ...] = (
    identity_rules,
    _unique_inputs,
    default_rule("ACT-19"),
    refuse_if(
        "ACT-11",
        "SideEffectsRequired",
        "$.side_effects",
        lambda action: not action.side_effects,
        "declares no side effects, but that is what an action is for",
        "Set side_effects to true, or make it a compute",
    ),
    refuse_if(
        "ACT-16",
        "RetryNotAllowed",
        "$.execution.retryable",
        lambda action: action.retryable,
        "is declared retryable, but the supervisor alone retries",
        "Set execution.retryable to false",
    ),
    deterministic("ACT-17"),
    refuse_if(
        "ACT-10",
        "StateNotAllowed",
        "$.state.allowed",
        lambda action: action.state_allowed,
        "declares state, which no action may have",
        "Set state.allowed to false; remember through a context write instead",
    ),
    refuse_if(
        "ACT-4",
        "EventInputRequired",
        "$.inputs",
        lambda action: all(port.type is not ValueType.EVENT for port in action.inputs),
        "has no input of type event, so nothing can gate it",
        "Declare an input of type event",
    ),
    write_rules,
    intent_rules,
    _outcome,
)


def check(manifest: Manifest, registered: Container[str] = ()) -> list[RuleError]:
    """Every broken rule in rule order; the first is the headline. ``registered`` are the ids that are taken."""
    match manifest:
        case SourceManifest():
            errors = [error for rule in SOURCE_RULES for error in rule(manifest)]
        case ComputeManifest():
            errors = [error for rule in COMPUTE_RULES for error in rule(manifest)]
        case TriggerManifest():
            errors = [error for rule in TRIGGER_RULES for error in rule(manifest)]
        case ActionManifest():
            errors = [error for rule in ACTION_RULES for error in rule(manifest)]
    return [*errors, duplicate_id(manifest)] if manifest.id in registered else errors


def registration_failed(errors: Sequence[RuleError]) -> RuleError:
    """The error to raise: the first of ``errors``, its message naming the family, with the others as its causes."""
    first, *others = errors
    family = FAMILY_OF_PREFIX[first.code.partition("-")[0]].value.lower()
    return RuleError(
        first.code,
        f"{family} registration failed: {first.message}",
        phase=first.phase,
        path=first.path,
        where=first.where,
        fix=first.fix,
        details=first.details,
        causes=others,
    )


PARAMETER_WORDS = {
    "number": ParameterType.NUMBER,
    "bool": ParameterType.BOOL,
    "boolean": ParameterType.BOOL,
    "string": ParameterType.STRING,
    "int": ParameterType.INT,
    "enum": ParameterType.ENUM,
}
"""The words for parameter types, in every family but computes."""

CADENCE_WORDS = {cadence.value: cadence for cadence in Cadence}
_DEFAULT_RULES = {Family.SOURCE: "SRC-15", Family.COMPUTE: "CMP-19", Family.TRIGGER: "TRG-14", Family.ACTION: "ACT-19"}
_CADENCE_RULES = {Family.SOURCE: "SRC-13", Family.COMPUTE: "CMP-16"}
_CARDINALITY_RULES = {Family.COMPUTE: "CMP-14", Family.TRIGGER: "TRG-12"}


def unknown_input_type(subject: Subject, name: str, word: str) -> RuleError:
    """CMP-13, TRG-6 or ACT-6; a source has no inputs at all (SRC-4)."""
    match subject.family:
        case Family.SOURCE:
            sentence, fix = f"declares input '{name}', but a source has none", "Remove the inputs"
            return broken(subject, "SRC-4", "InputsNotAllowed", "$.inputs", sentence, fix)
        case Family.COMPUTE:
            return input_type(subject, "CMP-13", name, word, COMPUTE_INPUTS)
        case Family.TRIGGER:
            return input_type(subject, "TRG-6", name, word, TRIGGER_INPUTS)
        case Family.ACTION:
            return input_type(subject, "ACT-6", name, word, (*VALUES, ValueType.EVENT))


def unknown_output_type(subject: Subject, name: str, word: str) -> RuleError:
    """SRC-7, CMP-20, TRG-8 or ACT-9."""
    match subject.family:
        case Family.SOURCE:
            return output_type(subject, "SRC-7", name, word)
        case Family.COMPUTE:
            return output_type(subject, "CMP-20", name, word)
        case Family.TRIGGER:
            return not_an_event(subject, "TRG-8", name, word)
        case Family.ACTION:
            return not_an_event(subject, "ACT-9", name, word)


def unknown_parameter_type(subject: Subject, name: str, word: str) -> RuleError:
    """CMP-15; the other families have no rule for it."""
    if subject.family is Family.COMPUTE:
        return unsupported_parameter(subject, name, word)
    sentence = f"declares parameter '{name}' of type {word}"
    return no_such_word(subject, "$.parameters[].type", sentence, PARAMETER_WORDS)


def unfit_default(subject: Subject, name: str, declared: ParameterType, got: str) -> RuleError:
    """SRC-15, CMP-19, TRG-14 or ACT-19."""
    return default_mismatch(subject, _DEFAULT_RULES[subject.family], name, declared.value, got)


def unknown_cadence(subject: Subject, word: str) -> RuleError:
    """SRC-13 or CMP-16; triggers have no rule for it."""
    rule = _CADENCE_RULES.get(subject.family, "INTERNAL")
    sentence = f"has cadence '{word}'"
    return no_such_word(subject, "$.execution.cadence", sentence, CADENCE_WORDS, rule=rule, variant="InvalidCadence")


def unknown_cardinality(subject: Subject, name: str, word: str) -> RuleError:
    """CMP-14 or TRG-12; the other families have no rule for it."""
    rule = _CARDINALITY_RULES.get(subject.family, "INTERNAL")
    sentence, path = f"declares input '{name}' with cardinality '{word}'", "$.inputs[].cardinality"
    return no_such_word(subject, path, sentence, ("single",), rule=rule, variant="InvalidInputCardinality")


def no_such_word(
    subject: Subject,
    path: str,
    sentence: str,
    words: Iterable[str],
    *,
    rule: str = "INTERNAL",
    variant: str = "UnknownWord",
) -> RuleError:
    """The error of a word that is not among ``words``."""
    return broken(subject, rule, variant, path, sentence, f"Write one of {', '.join(words)}")

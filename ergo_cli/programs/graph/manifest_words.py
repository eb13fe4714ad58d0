"""The words of manifest files, and which rule a word breaks that stands where it may not (spec 30 §24.2)."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.manifest import Cadence, Cardinality, ComputeErrorType, Family
from ergo_cli.programs.graph.parameters import ParameterType
from ergo_cli.programs.graph.registration.common import (
    VALUES,
    default_mismatch,
    input_type,
    not_an_event,
    output_type,
)
from ergo_cli.programs.graph.registration.compute import COMPUTE_INPUTS, unsupported_parameter
from ergo_cli.programs.graph.registration.rules import Subject, broken
from ergo_cli.programs.graph.registration.trigger import TRIGGER_INPUTS

_T = TypeVar("_T")

FAMILIES = {family.value.lower(): family for family in Family}
DATA_TYPES = {
    "number": ValueType.NUMBER,
    "bool": ValueType.BOOL,
    "boolean": ValueType.BOOL,
    "string": ValueType.STRING,
    "series": ValueType.SERIES,
}
PORT_TYPES = {**DATA_TYPES, "event": ValueType.EVENT}
_SCALAR_TYPES = {
    "number": ParameterType.NUMBER,
    "bool": ParameterType.BOOL,
    "boolean": ParameterType.BOOL,
    "string": ParameterType.STRING,
}
_PARAMETER_TYPES = {**_SCALAR_TYPES, "int": ParameterType.INT, "enum": ParameterType.ENUM}
_COMPUTE_PARAMETER_TYPES = {**_SCALAR_TYPES, "int": ParameterType.NUMBER, "series": ParameterType.SERIES}
CADENCES = {cadence.value: cadence for cadence in Cadence}
_CARDINALITIES = {cardinality.value.lower(): cardinality for cardinality in Cardinality}
COMPUTE_ERRORS = {
    "divisionbyzero": ComputeErrorType.DIVISION_BY_ZERO,
    "division_by_zero": ComputeErrorType.DIVISION_BY_ZERO,
    "nonfiniteresult": ComputeErrorType.NON_FINITE_RESULT,
    "non_finite_result": ComputeErrorType.NON_FINITE_RESULT,
    "invalidparameter": ComputeErrorType.INVALID_PARAMETER,
    "invalid_parameter": ComputeErrorType.INVALID_PARAMETER,
}
_DEFAULT_RULES = {Family.SOURCE: "SRC-15", Family.COMPUTE: "CMP-19", Family.TRIGGER: "TRG-14", Family.ACTION: "ACT-19"}
_CADENCE_RULES = {Family.SOURCE: "SRC-13", Family.COMPUTE: "CMP-16"}
_CARDINALITY_RULES = {Family.COMPUTE: "CMP-14", Family.TRIGGER: "TRG-12"}


class Heading(Struct, frozen=True):
    """What errors call a manifest while it is still being read."""

    id: str
    family: Family


def lookup(words: dict[str, _T], word: str) -> _T | None:
    """What a word stands for; case does not matter."""
    return words.get(word.lower())


def parameter_types(family: Family) -> dict[str, ParameterType]:
    """The words for parameter types; an ``int`` of a compute is a Number."""
    return _COMPUTE_PARAMETER_TYPES if family is Family.COMPUTE else _PARAMETER_TYPES


def cardinalities(family: Family) -> dict[str, Cardinality]:
    """The words for cardinalities; an action's inputs are single and have no rule that says so."""
    return {"single": Cardinality.SINGLE} if family is Family.ACTION else _CARDINALITIES


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
    return no_such_word(subject, "$.parameters[].type", sentence, _PARAMETER_TYPES)


def unfit_default(subject: Subject, name: str, declared: ParameterType, got: str) -> RuleError:
    """SRC-15, CMP-19, TRG-14 or ACT-19."""
    return default_mismatch(subject, _DEFAULT_RULES[subject.family], name, declared.value, got)


def unknown_cadence(subject: Subject, word: str) -> RuleError:
    """SRC-13 or CMP-16; triggers have no rule for it."""
    rule = _CADENCE_RULES.get(subject.family, "INTERNAL")
    sentence = f"has cadence '{word}'"
    return no_such_word(subject, "$.execution.cadence", sentence, CADENCES, rule=rule, variant="InvalidCadence")


def unknown_cardinality(subject: Subject, name: str, word: str) -> RuleError:
    """CMP-14 or TRG-12; the other families have no rule for it."""
    rule = _CARDINALITY_RULES.get(subject.family, "INTERNAL")
    sentence, words = f"declares input '{name}' with cardinality '{word}'", {"single": Cardinality.SINGLE}
    return no_such_word(
        subject, "$.inputs[].cardinality", sentence, words, rule=rule, variant="InvalidInputCardinality"
    )


def no_such_word(
    subject: Subject,
    path: str,
    sentence: str,
    words: dict[str, _T],
    *,
    rule: str = "INTERNAL",
    variant: str = "UnknownWord",
) -> RuleError:
    """The error of a word that is none of ``words``."""
    return broken(subject, rule, variant, path, sentence, f"Write one of {', '.join(words)}")

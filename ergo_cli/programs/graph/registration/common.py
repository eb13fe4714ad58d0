"""Rules that two or more families share, each under its own code."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from ergo_cli.core.repeats import repeats
from ergo_cli.core.semver import Version
from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.manifest import Cardinality, Family, InputSpec, Manifest
from ergo_cli.programs.graph.registration.rules import Check, Subject, broken

FAMILY = {"SRC": Family.SOURCE, "CMP": Family.COMPUTE, "TRG": Family.TRIGGER, "ACT": Family.ACTION}
"""Which family's rules begin with which letters."""

PREFIX = {family: prefix for prefix, family in FAMILY.items()}
DUPLICATE_ID = {Family.SOURCE: "SRC-14", Family.COMPUTE: "CMP-18", Family.TRIGGER: "TRG-13", Family.ACTION: "ACT-18"}
VALUES = (ValueType.NUMBER, ValueType.BOOL, ValueType.SERIES, ValueType.STRING)
"""The types that are data; ``Event`` is none of them."""

OUTPUT_TYPE_FIX = "Use a valid output type: number, bool, series, or string"
_ID = re.compile(r"[a-z][a-z0-9_]*")


def identity(manifest: Manifest) -> Iterator[RuleError]:
    """Rules 1–3 of every family: id, version and kind."""
    prefix, kind = PREFIX[manifest.family], manifest.family.value.lower()
    if not _ID.fullmatch(manifest.id):
        fix = "Start the id with a lower-case letter and use only lower-case letters, digits and underscores"
        yield broken(manifest, f"{prefix}-1", "InvalidId", "$.id", "has an invalid id", fix)
    if not _is_version(manifest.version):
        sentence = f"has version '{manifest.version}', which is not a semantic version"
        fix = "Write the version as MAJOR.MINOR.PATCH, like 0.1.0"
        yield broken(manifest, f"{prefix}-2", "InvalidVersion", "$.version", sentence, fix)
    if manifest.kind != kind:
        sentence = f"has kind '{manifest.kind}' instead of '{kind}'"
        yield broken(manifest, f"{prefix}-3", "WrongKind", "$.kind", sentence, f"Set kind to '{kind}'")


def duplicate_id(manifest: Manifest) -> RuleError:
    """The last rule of every family, broken."""
    sentence = f"(version {manifest.version}) cannot be registered: its id is taken"
    fix = "Choose another id; one id has one version"
    return broken(manifest, DUPLICATE_ID[manifest.family], "DuplicateId", "$.id", sentence, fix)


def defaults(rule: str) -> Check[Manifest]:
    """A default has the declared type of its parameter."""

    def check(manifest: Manifest) -> Iterator[RuleError]:
        for parameter in manifest.parameters:
            if parameter.default is not None and parameter.default.type is not parameter.type:
                yield default_mismatch(
                    manifest, rule, parameter.name, parameter.type.value, parameter.default.type.value
                )

    return check


def default_mismatch(subject: Subject, rule: str, parameter: str, declared: str, got: str) -> RuleError:
    """The error of a default of another type than declared."""
    sentence = f"declares parameter '{parameter}' as {declared}, but its default is {got}"
    fix = f"Change parameter '{parameter}' default value to match the declared type"
    return broken(subject, rule, "InvalidParameterType", "$.parameters[].default", sentence, fix)


def unique_input(subject: Subject, rule: str, index: int, name: str) -> RuleError:
    """The error of a second input of one name."""
    fix = f"Rename the second input '{name}'"
    return broken(subject, rule, "DuplicateInput", f"$.inputs[{index}].name", f"declares input '{name}' twice", fix)


def inputs(duplicate: str, type_rule: str, allowed: Collection[ValueType], cardinality: str) -> Check[Manifest]:
    """Input by input: a name of its own, an allowed type, cardinality single."""

    def check(manifest: Manifest) -> Iterator[RuleError]:
        repeated = repeats(port.name for port in manifest.inputs)
        for index, port in enumerate(manifest.inputs):
            if index in repeated:
                yield unique_input(manifest, duplicate, index, port.name)
            if port.type not in allowed:
                yield input_type(manifest, type_rule, port.name, port.type.value, allowed)
            if port.cardinality is not Cardinality.SINGLE:
                yield _cardinality(manifest, cardinality, port)

    return check


def input_type(subject: Subject, rule: str, name: str, got: str, allowed: Collection[ValueType]) -> RuleError:
    """The error of an input of a type that its family does not take."""
    fix = f"Use a valid input type: {_words(allowed)}"
    sentence = f"declares input '{name}' of type {got}, which it cannot take"
    return broken(subject, rule, "InvalidInputType", "$.inputs[].type", sentence, fix)


def _cardinality(subject: Subject, rule: str, port: InputSpec) -> RuleError:
    sentence = f"declares input '{port.name}' with cardinality {port.cardinality.value.lower()}"
    fix = f"Set the cardinality of input '{port.name}' to single"
    return broken(subject, rule, "InvalidInputCardinality", "$.inputs[].cardinality", sentence, fix)


def outputs(duplicate: str, type_rule: str) -> Check[Manifest]:
    """Output by output: a name of its own and a type that is data."""

    def check(manifest: Manifest) -> Iterator[RuleError]:
        repeated = repeats(port.name for port in manifest.outputs)
        for index, port in enumerate(manifest.outputs):
            if index in repeated:
                path, fix = f"$.outputs[{index}].name", f"Rename the second output '{port.name}'"
                yield broken(manifest, duplicate, "DuplicateOutput", path, f"declares output '{port.name}' twice", fix)
            if port.type not in VALUES:
                yield output_type(manifest, type_rule, port.name, port.type.value)

    return check


def output_type(subject: Subject, rule: str, name: str, got: str) -> RuleError:
    """The error of a source's or compute's output that is no data."""
    sentence = f"declares output '{name}' of type {got}, which it cannot give"
    return broken(subject, rule, "InvalidOutputType", "$.outputs[].type", sentence, OUTPUT_TYPE_FIX)


def not_an_event(subject: Subject, rule: str, name: str, got: str) -> RuleError:
    """The error of a trigger's or action's output that is no Event."""
    sentence = f"declares output '{name}' of type {got} instead of event"
    return broken(
        subject, rule, "InvalidOutputType", "$.outputs[0].type", sentence, f"Set the type of output '{name}' to event"
    )


def _words(types: Collection[ValueType]) -> str:
    return ", ".join(type_.value.lower() for type_ in types)


def _is_version(text: str) -> bool:
    try:
        Version.parse(text)
    except ValueError:
        return False
    return True

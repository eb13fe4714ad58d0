"""The parts of registration rules: each check looks at a manifest and yields what is broken (spec 20 §4.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from msgspec import Struct

from ergo_cli.core.diagnostics import repeats
from ergo_cli.core.semver import Version
from ergo_cli.core.values import IntentFieldSpec, IntentSpec, ValueType, WriteSpec
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.primitives.primitive import (
    FIELD_TYPES,
    ActionManifest,
    Cadence,
    Cardinality,
    ComputeManifest,
    Family,
    InputSpec,
    Manifest,
    ParameterSpec,
    ParameterType,
    SourceManifest,
)


class Subject(Protocol):
    """What every message names: a manifest or the metadata made from one."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def family(self) -> Family: ...  # noqa: D102


SubjectT = TypeVar("SubjectT", bound=Subject)
CheckedT = TypeVar("CheckedT")
Check = Callable[[CheckedT], Iterable[RuleError]]
"""One or several rules: yields an error for each breach, in the order of the rules."""


def broken(subject: Subject, rule: str, variant: str, path: str, sentence: str, fix: str) -> RuleError:
    """The error of one broken rule. ``sentence`` continues "Compute 'gt' …"; ``details`` holds the variant's name."""
    message = f"{subject.family.value} '{subject.id}' {sentence}"
    return RuleError(rule, message, phase="registration", path=path, fix=fix, details=(variant,))


def refuse_if(
    rule: str, variant: str, path: str, is_broken: Callable[[SubjectT], bool], sentence: str, fix: str
) -> Check[SubjectT]:
    """The check of a rule that is broken or not as a whole."""

    def check(subject: SubjectT) -> Iterator[RuleError]:
        if is_broken(subject):
            yield broken(subject, rule, variant, path, sentence, fix)

    return check


def no_side_effects(rule: str) -> Check[Manifest]:
    """Only actions have side effects."""
    return refuse_if(
        rule,
        "SideEffectsNotAllowed",
        "$.side_effects",
        lambda manifest: manifest.side_effects,
        "declares side effects, which only actions have",
        "Set side_effects to false",
    )


def deterministic(rule: str) -> Check[Manifest]:
    """Every primitive is deterministic."""
    return refuse_if(
        rule,
        "NonDeterministicExecution",
        "$.execution.deterministic",
        lambda manifest: not manifest.deterministic,
        "is declared not deterministic",
        "Set execution.deterministic to true",
    )


def continuous(rule: str) -> Check[SourceManifest | ComputeManifest]:
    """Sources and computes have the cadence continuous."""
    return refuse_if(
        rule,
        "InvalidCadence",
        "$.execution.cadence",
        lambda manifest: manifest.cadence is not Cadence.CONTINUOUS,
        "has a cadence other than continuous",
        "Set execution.cadence to continuous",
    )


def key_reference(
    subject: Subject,
    name: str,
    parameters: Sequence[ParameterSpec],
    *,
    path: str,
    unbound: tuple[str, str],
    not_string: tuple[str, str],
) -> Iterator[RuleError]:
    """A name ``$p`` refers to a String parameter ``p``; ``unbound`` and ``not_string`` are rule and variant."""
    if not name.startswith("$"):
        return
    types = [parameter.type for parameter in parameters if parameter.name == name[1:]]
    if not types:
        sentence = f"uses key '{name}', but declares no parameter '{name[1:]}'"
        yield broken(subject, *unbound, path, sentence, f"Declare a string parameter '{name[1:]}' or drop the '$'")
    elif types[0] is not ParameterType.STRING:
        sentence = f"uses key '{name}', but parameter '{name[1:]}' is {types[0].value}"
        yield broken(subject, *not_string, path, sentence, f"Change parameter '{name[1:]}' type to string")


FAMILY_OF_PREFIX = {"SRC": Family.SOURCE, "CMP": Family.COMPUTE, "TRG": Family.TRIGGER, "ACT": Family.ACTION}
"""Which family's rules begin with which letters."""

PREFIX = {family: prefix for prefix, family in FAMILY_OF_PREFIX.items()}
DUPLICATE_ID = {Family.SOURCE: "SRC-14", Family.COMPUTE: "CMP-18", Family.TRIGGER: "TRG-13", Family.ACTION: "ACT-18"}
VALUES = (ValueType.NUMBER, ValueType.BOOL, ValueType.SERIES, ValueType.STRING)
"""The types that are data; ``Event`` is not."""

OUTPUT_TYPE_FIX = "Use a valid output type: number, bool, series, or string"
_ID = re.compile(r"[a-z][a-z0-9_]*")


def identity_rules(manifest: Manifest) -> Iterator[RuleError]:
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
    """The error of an id that is taken: the last rule of every family."""
    sentence = f"(version {manifest.version}) cannot be registered: its id is taken"
    fix = "Choose another id; one id has one version"
    return broken(manifest, DUPLICATE_ID[manifest.family], "DuplicateId", "$.id", sentence, fix)


def default_rule(rule: str) -> Check[Manifest]:
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


def input_rules(duplicate: str, type_rule: str, allowed: Collection[ValueType], cardinality: str) -> Check[Manifest]:
    """Input by input: a unique name, an allowed type, cardinality single."""

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


def output_rules(duplicate: str, type_rule: str) -> Check[Manifest]:
    """Output by output: a unique name and a type that is data."""

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
    """The error of a source's or compute's output whose type is not data."""
    sentence = f"declares output '{name}' of type {got}, which it cannot give"
    return broken(subject, rule, "InvalidOutputType", "$.outputs[].type", sentence, OUTPUT_TYPE_FIX)


def not_an_event(subject: Subject, rule: str, name: str, got: str) -> RuleError:
    """The error of a trigger's or action's output that is not an Event."""
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


class Heading(Struct, frozen=True):
    """The id and family of a manifest that is still being read."""

    id: str
    family: Family


def write_rules(action: ActionManifest) -> Iterator[RuleError]:
    """Write by write: its name, its type, its key, then its input (ACT-14, ACT-15, ACT-20 … ACT-23)."""
    repeated = repeats(write.name for write in action.effects.writes)
    for index, write in enumerate(action.effects.writes):
        if index in repeated:
            path, fix = f"$.effects.writes[{index}].name", f"Remove or rename the second write '{write.name}'"
            yield broken(action, "ACT-14", "DuplicateWriteName", path, f"declares write '{write.name}' twice", fix)
        if write.type not in VALUES:
            yield write_type(action, write.name, write.type.value)
        yield from key_reference(
            action,
            write.name,
            action.parameters,
            path="$.effects.writes[].name",
            unbound=("ACT-20", "UnboundWriteKeyReference"),
            not_string=("ACT-21", "WriteKeyReferenceNotString"),
        )
        yield from _write_input(action, write)


def write_type(subject: Subject, name: str, got: str) -> RuleError:
    """The error of a write whose type is not data (ACT-15)."""
    sentence = f"declares write '{name}' of type {got}, which no context holds"
    fix = OUTPUT_TYPE_FIX.replace("output", "write")
    return broken(subject, "ACT-15", "InvalidWriteType", "$.effects.writes[].type", sentence, fix)


def _write_input(action: ActionManifest, write: WriteSpec) -> Iterator[RuleError]:
    path = "$.effects.writes[].from_input"
    source = next((port for port in action.inputs if port.name == write.from_input), None)
    if source is None:
        sentence = f"takes write '{write.name}' from input '{write.from_input}', which it does not declare"
        fix = f"Declare input '{write.from_input}' or name another one"
        yield broken(action, "ACT-22", "WriteFromInputNotFound", path, sentence, fix)
    elif source.type is ValueType.EVENT or source.type is not write.type:
        sentence = f"takes write '{write.name}' ({write.type.value}) from input '{source.name}' ({source.type.value})"
        fix = "Give the write and its input the same type; an event cannot be written"
        yield broken(action, "ACT-23", "WriteFromInputTypeMismatch", path, sentence, fix)


def intent_rules(action: ActionManifest) -> Iterator[RuleError]:
    """Intent by intent: its name, then its fields, then its mirror writes."""
    repeated = repeats(intent.name for intent in action.effects.intents)
    for index, intent in enumerate(action.effects.intents):
        if index in repeated:
            path, fix = f"$.effects.intents[{index}].name", f"Remove or rename the second intent '{intent.name}'"
            yield broken(action, "ACT-24", "DuplicateIntentName", path, f"declares intent '{intent.name}' twice", fix)
        yield from _fields(action, intent)
        yield from _mirror_writes(action, intent)


def _fields(action: ActionManifest, intent: IntentSpec) -> Iterator[RuleError]:
    repeated = repeats(field.name for field in intent.fields)
    for index, field in enumerate(intent.fields):
        if index in repeated:
            path, fix = f"{_path(intent)}.fields[{index}].name", f"Remove or rename the second field '{field.name}'"
            sentence = f"declares {_of(intent, field)} twice"
            yield broken(action, "ACT-25", "DuplicateIntentFieldName", path, sentence, fix)
        yield from _field_source(action, intent, field)


def _field_source(action: ActionManifest, intent: IntentSpec, field: IntentFieldSpec) -> Iterator[RuleError]:
    path = f"{_path(intent)}.fields[]"
    match field.from_input, field.from_param:
        case None, None:
            sentence = f"takes {_of(intent, field)} from nowhere"
            fix = "Give the field from_input or from_param"
            yield broken(action, "ACT-26", "IntentFieldMissingSource", path, sentence, fix)
        case str(name), None:
            yield from _from_input(action, intent, field, name)
        case None, str(name):
            yield from _from_param(action, intent, field, name)
        case _:
            sentence = f"takes {_of(intent, field)} from an input and from a parameter"
            fix = "Keep one of from_input and from_param"
            yield broken(action, "ACT-27", "IntentFieldMultipleSources", path, sentence, fix)


def _from_input(action: ActionManifest, intent: IntentSpec, field: IntentFieldSpec, name: str) -> Iterator[RuleError]:
    path = f"{_path(intent)}.fields[].from_input"
    source = next((port for port in action.inputs if port.name == name), None)
    if source is None:
        sentence = f"takes {_of(intent, field)} from input '{name}', which it does not declare"
        fix = f"Declare input '{name}' or name another one"
        yield broken(action, "ACT-28", "IntentFieldFromInputNotFound", path, sentence, fix)
    elif source.type is ValueType.EVENT or source.type is not field.type:
        sentence = f"takes {_of(intent, field)} ({field.type.value}) from input '{name}' ({source.type.value})"
        fix = "Give the field and its input the same type; an event cannot be a field"
        yield broken(action, "ACT-29", "IntentFieldFromInputTypeMismatch", path, sentence, fix)


def _from_param(action: ActionManifest, intent: IntentSpec, field: IntentFieldSpec, name: str) -> Iterator[RuleError]:
    path = f"{_path(intent)}.fields[].from_param"
    source = next((parameter for parameter in action.parameters if parameter.name == name), None)
    if source is None:
        sentence = f"takes {_of(intent, field)} from parameter '{name}', which it does not declare"
        fix = f"Declare parameter '{name}' or name another one"
        yield broken(action, "ACT-30", "IntentFieldFromParamNotFound", path, sentence, fix)
    elif FIELD_TYPES.get(source.type) is not field.type:
        sentence = f"takes {_of(intent, field)} ({field.type.value}) from parameter '{name}' ({source.type.value})"
        fix = "Give the field and its parameter the same type: number, bool or string"
        yield broken(action, "ACT-31", "IntentFieldFromParamTypeMismatch", path, sentence, fix)


def _mirror_writes(action: ActionManifest, intent: IntentSpec) -> Iterator[RuleError]:
    path = f"{_path(intent)}.mirror_writes[]"
    for mirror in intent.mirror_writes:
        field = next((field for field in intent.fields if field.name == mirror.from_field), None)
        mirrored = f"mirrors '{mirror.name}' from field '{mirror.from_field}' of intent '{intent.name}'"
        if field is None:
            fix = f"Declare field '{mirror.from_field}' in the intent or name another one"
            sentence = f"{mirrored}, which has no such field"
            yield broken(action, "ACT-32", "MirrorWriteFromFieldNotFound", path, sentence, fix)
        elif mirror.type is not field.type:
            sentence = f"{mirrored} as {mirror.type.value}, but the field is {field.type.value}"
            fix = "Give the mirror write the type of its field"
            yield broken(action, "ACT-33", "MirrorWriteTypeMismatch", path, sentence, fix)


def _path(intent: IntentSpec) -> str:
    return f'$.effects.intents[?(@.name=="{intent.name}")]'


def _of(intent: IntentSpec, field: IntentFieldSpec) -> str:
    return f"field '{field.name}' of intent '{intent.name}'"

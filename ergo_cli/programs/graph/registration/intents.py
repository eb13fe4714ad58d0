"""The registration rules of an action's intents, in their order (ACT-24 … ACT-33)."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.core.declarations import IntentFieldSpec, IntentSpec
from ergo_cli.core.repeats import repeats
from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.manifest import ActionManifest
from ergo_cli.programs.graph.parameters import ParameterType
from ergo_cli.programs.graph.registration.rules import broken

_AS_VALUE = {
    ParameterType.NUMBER: ValueType.NUMBER,
    ParameterType.BOOL: ValueType.BOOL,
    ParameterType.STRING: ValueType.STRING,
}
"""Which field type a parameter fills; Int, Enum and Series fill none."""


def intents(action: ActionManifest) -> Iterator[RuleError]:
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
    elif _AS_VALUE.get(source.type) is not field.type:
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

"""The effects of an action as templates: their JSON with places for what only a pass knows (spec 20 §11)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

from msgspec import Struct
from msgspec.json import Encoder

from ergo_cli.core.effects import SET_CONTEXT, ProducedEffect, intent_id, intent_place, intent_scope
from ergo_cli.core.values import NativeValue, Value
from ergo_cli.programs.graph.compiler.code import CodeBuilder
from ergo_cli.programs.graph.compiler.operands import Operand, Operands, constant_operand, inputs_of
from ergo_cli.programs.graph.effect_building import FieldRecipe, IntentRecipe, build_effects
from ergo_cli.programs.graph.families import presented
from ergo_cli.programs.graph.steps import ActionStep, PortValues

_encode = Encoder().encode


def attempt(step: ActionStep, inputs: PortValues, graph_id: str, event_id: str) -> list[ProducedEffect]:
    """The effects of an action that ran, built by the interpreter's own means. Raises RuleError."""
    effects = build_effects(step.effects, step.node, presented(inputs), graph_id, event_id)
    return [ProducedEffect.of(effect) for effect in effects]


def _intent_id_text(scope: bytes, place: bytes) -> bytes:
    return intent_id(scope, place).encode()


NAMES = {
    "FALSE": b"false",
    "ProducedEffect": ProducedEffect,
    "TRUE": b"true",
    "attempt": attempt,
    "encode": _encode,
    "intent_id": _intent_id_text,
    "intent_scope": intent_scope,
    "join": b"".join,
}
"""What the lines made here refer to, beside ``effects``, ``graph_id`` and ``event_id``."""

_TAGS: dict[type, bytes] = {float: b"Number", list: b"Series", bool: b"Bool", str: b"String"}


class _Place(Struct, frozen=True):
    """An expression of bytes that a pass fills in."""

    expression: str


_Part = bytes | _Place


class _Named(Struct, frozen=True):
    """A key or field with its value."""

    name: str
    operand: Operand


class _Unfit(Exception):
    """The effects cannot be written beforehand: a pass that comes to them asks the interpreter's own code."""


def effect_lines(code: CodeBuilder, step: ActionStep, inputs: Operands) -> list[str]:
    """The lines that append the effects of an action to ``effects``, in the order of spec 20 §11.1."""
    recipe = step.effects
    try:
        if len({intent.kind for intent in recipe.intents}) < len(recipe.intents):
            raise _Unfit
        writes = [_Named(_known(write.key), _payload(inputs, write.source)) for write in recipe.writes]
        lines: list[str] = []
        for intent in recipe.intents:
            fields = {field.name: _Named(field.name, _field(code, inputs, field)) for field in intent.fields}
            writes += [_Named(_known(mirror.key), fields[mirror.source].operand) for mirror in intent.mirrors]
            lines += _intent(code, step.id, intent, list(fields.values()))
        if recipe.intents:
            lines.insert(0, "scope = intent_scope(graph_id, event_id)")
        return [*_set_context(code, writes), *lines]
    except (_Unfit, ValueError):  # ValueError: a text without bytes
        return [f"effects.extend(attempt({code.constant(step)}, {inputs_of(code, inputs)}, graph_id, event_id))"]


def _known(key: str | None) -> str:
    if key is None:
        raise _Unfit
    return key


def _payload(inputs: Operands, name: str) -> Operand:
    operand = inputs.get(name)
    if operand is None or operand.is_event:
        raise _Unfit
    return operand


def _field(code: CodeBuilder, inputs: Operands, field: FieldRecipe) -> Operand:
    if field.input is not None:
        return _payload(inputs, field.input)
    if field.constant is None:
        raise _Unfit
    native = field.constant.native
    return constant_operand(code, native, type(native))


def _set_context(code: CodeBuilder, writes: Sequence[_Named]) -> list[str]:
    if not writes:
        return []
    parts = [b'{"kind":' + _encode(SET_CONTEXT) + b',"writes":[', *_listed(b"key", writes), b"]}"]
    if all(write.operand.constant is not None for write in writes):
        natives = tuple((write.name, _constant(write.operand)) for write in writes)
        effect = ProducedEffect(SET_CONTEXT, b"".join(part for part in parts if isinstance(part, bytes)), natives)
        return [f"effects.append({code.constant(effect)})"]
    pairs = "".join(f"({code.constant(write.name)}, {write.operand.name}), " for write in writes)
    return [_append(code, SET_CONTEXT, parts, f"({pairs})")]


def _intent(code: CodeBuilder, node: str, intent: IntentRecipe, fields: Sequence[_Named]) -> list[str]:
    kind, place = _encode(intent.kind), code.constant(intent_place(node, intent.kind, intent.ordinal))
    parts = [
        b'{"kind":%b,"writes":[],"intents":[{"kind":%b,"intent_id":"' % (kind, kind),
        _Place(f"intent_id(scope, {place})"),
        b'","fields":[',
        *_listed(b"name", fields),
        b"]}]}",
    ]
    return [_append(code, intent.kind, parts, "None")]


def _append(code: CodeBuilder, kind: str, parts: Iterable[_Part], writes: str) -> str:
    return f"effects.append(ProducedEffect({code.constant(kind)}, {_joined(code, parts)}, {writes}))"


def _listed(member: bytes, named: Sequence[_Named]) -> list[_Part]:
    """``{"key":…,"value":…}`` for each, between commas."""
    parts: list[_Part] = []
    for item in named:
        comma = b"," if parts else b""
        parts += [b'%b{"%b":%b,"value":' % (comma, member, _encode(item.name)), *_value(item.operand), b"}"]
    return parts


def _value(operand: Operand) -> list[_Part]:
    if operand.constant is not None:
        return [_encode(Value.of(_constant(operand)))]
    expression = f"TRUE if {operand.name} else FALSE" if operand.native is bool else f"encode({operand.name})"
    return [b'{"%b":' % _TAGS[operand.native], _Place(expression), b"}"]


def _constant(operand: Operand) -> NativeValue:
    """The value of a constant. Raises _Unfit for a parameter that is not finite: the reference refuses it."""
    constant = operand.constant
    if constant is None or (isinstance(constant, float) and not isfinite(constant)):
        raise _Unfit
    return constant


def _joined(code: CodeBuilder, parts: Iterable[_Part]) -> str:
    """The expression that puts the parts together, neighbouring texts made one."""
    items: list[str] = []
    text = b""
    for part in parts:
        if isinstance(part, _Place):
            items += [code.constant(text), part.expression]
            text = b""
        else:
            text += part
    return f"join(({', '.join([*items, code.constant(text)])}))"

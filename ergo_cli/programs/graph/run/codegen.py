"""The code builder, the operands of generated code, and the code of effects (spec 00 §11, 20 §11)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from math import isfinite
from typing import cast

from msgspec import Struct
from msgspec.json import Encoder

from ergo_cli.core.json import template_pieces
from ergo_cli.core.values import (
    SET_CONTEXT,
    Effect,
    Intent,
    IntentField,
    NativeValue,
    ProducedEffect,
    Value,
    Write,
    encode_effect,
    intent_id,
    intent_place,
    intent_scope,
)
from ergo_cli.programs.graph.primitives.primitive import TriggerEvent
from ergo_cli.programs.graph.run.interpreter import presented
from ergo_cli.programs.graph.run.steps import ActionStep, FieldRecipe, IntentRecipe, PortValues, build_effects

_LOCAL = re.compile(r"\bv[0-9]+\b")


class _Statement(Struct, frozen=True):
    """One or more lines; ``defines`` is the local that they only define, None where they do more."""

    text: str
    defines: str | None


class CodeBuilder:
    """The body of one function and its constants. Statements run in the order in which they are added.

    No authored text gets into the source (spec 00 §11): identifiers are counted out (``c0`` for constants, ``v0`` for
    locals), and all values, texts and numbers alike, stand in the table of constants and are only named.
    """

    def __init__(self) -> None:
        self.constants: dict[str, object] = {}
        self._statements: list[_Statement] = []
        self._numbers = count()

    def constant(self, value: object) -> str:
        """The name by which the code refers to ``value``."""
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def local(self) -> str:
        """A name for a new local variable."""
        return f"v{next(self._numbers)}"

    def define(self, expression: str) -> str:
        """Give a pure expression, which never raises, a name; left out where nothing comes to use it."""
        name = self.local()
        self._statements.append(_Statement(f"{name} = {expression}", name))
        return name

    def add(self, *lines: str) -> None:
        """Append lines that have an effect or can raise."""
        self._statements.append(_Statement("\n".join(lines), None))

    def source(self, name: str, parameters: str, opening: str, closing: str) -> str:
        """The text of the function ``name``, between the lines ``opening`` and ``closing``."""
        lines = [opening, *self._used(), closing]
        body = "\n".join(lines).replace("\n", "\n    ")
        return f"def {name}({parameters}):\n    {body}\n"

    def _used(self) -> list[str]:
        """The statements, without the definitions that nothing uses."""
        kept: list[str] = []
        used: set[str] = set()
        for statement in reversed(self._statements):
            if statement.defines is None or statement.defines in used:
                kept.append(statement.text)
                used.update(_LOCAL.findall(statement.text))
        return kept[::-1]


def block(condition: str, lines: list[str]) -> list[str]:
    """The lines under ``if``, or as they are where there is no condition."""
    return [f"if {condition}:", *(f"    {line}" for line in lines)] if condition else lines


def load(source: str, name: str, names: Mapping[str, object]) -> Callable[..., object]:
    """The function ``name`` that ``source`` defines; it sees ``names`` and nothing else, no builtins."""
    namespace: dict[str, object] = {**names, "__builtins__": {}}
    exec(compile(source, "<compiled graph>", "exec"), namespace)
    return cast(Callable[..., object], namespace[name])


class Operand(Struct, frozen=True):
    """An output as the code sees it: ``name`` is a local or a constant. A trigger's event is a bool there.

    ``constant`` is the value where it is known beforehand. ``given`` is a local that is None where the primitive may
    have omitted this output; None where it cannot.
    """

    name: str
    native: type
    constant: NativeValue | None = None
    given: str | None = None

    @property
    def is_event(self) -> bool:
        """Whether it is the event of a trigger."""
        return self.native is TriggerEvent

    @property
    def known(self) -> NativeValue | TriggerEvent | None:
        """The value as the interpreter has it, where it is known."""
        if self.is_event and self.constant is not None:
            return TriggerEvent.EMITTED if self.constant else TriggerEvent.NOT_EMITTED
        return self.constant


Operands = Mapping[str, Operand]
"""What is wired to the inputs of a node, by input."""


def constant_operand(code: CodeBuilder, value: NativeValue | TriggerEvent, native: type) -> Operand:
    """A value that is known beforehand."""
    constant = value is TriggerEvent.EMITTED if isinstance(value, TriggerEvent) else value
    return Operand(code.constant(constant), native, constant)


def inputs_of(code: CodeBuilder, inputs: Operands) -> str:
    """The expression of a node's inputs as ``run_node`` takes them."""
    return (
        "{"
        + ", ".join(f"{code.constant(port)}: {_operand_expression(operand)}" for port, operand in inputs.items())
        + "}"
    )


def _operand_expression(operand: Operand) -> str:
    return f"EMITTED if {operand.name} else NOT_EMITTED" if operand.is_event else operand.name


_encode = Encoder().encode


def built_effects(step: ActionStep, inputs: PortValues, graph_id: str, event_id: str) -> list[ProducedEffect]:
    """The effects of an action that ran, built as the interpreter builds them. Raises RuleError."""
    effects = build_effects(step.effects, step.node, presented(inputs), graph_id, event_id)
    return [ProducedEffect.of(effect) for effect in effects]


def _intent_id_text(scope: bytes, place: bytes) -> bytes:
    return intent_id(scope, place).encode()


EFFECT_NAMES = {
    "FALSE": b"false",
    "ProducedEffect": ProducedEffect,
    "TRUE": b"true",
    "attempt": built_effects,
    "encode": _encode,
    "intent_id": _intent_id_text,
    "intent_scope": intent_scope,
    "join": b"".join,
}
"""What the lines made here refer to, beside ``effects``, ``graph_id`` and ``event_id``."""

_Template = tuple[bytes, ...]
"""The pieces of a text, with a place between each two."""

_SENTINEL = Value.of("<value>")
_SENTINEL_WRITE, _SENTINEL_FIELD = Write("<key>", _SENTINEL), IntentField("<name>", _SENTINEL)
_NATIVE_SENTINELS: tuple[NativeValue, ...] = (0.5, [0.5], True, "<value>")

_VALUES: dict[type, _Template] = {
    type(native): template_pieces(_encode(Value.of(native)), _encode(native)) for native in _NATIVE_SENTINELS
}
_WRITE = template_pieces(_encode(_SENTINEL_WRITE), b'"<key>"', _encode(_SENTINEL))
_FIELD = template_pieces(_encode(_SENTINEL_FIELD), b'"<name>"', _encode(_SENTINEL))
_WRITES = template_pieces(encode_effect(Effect("<kind>", [_SENTINEL_WRITE])), b'"<kind>"', _encode(_SENTINEL_WRITE))
_INTENT = template_pieces(
    encode_effect(Effect("<effect>", [], [Intent("<intent>", "<id>", [_SENTINEL_FIELD])])),
    b'"<effect>"',
    b'"<intent>"',
    b"<id>",  # without its quotes: an id needs no escapes
    _encode(_SENTINEL_FIELD),
)


class _Place(Struct, frozen=True):
    """An expression of bytes that a pass fills in."""

    expression: str


_Part = bytes | _Place


class _Named(Struct, frozen=True):
    """A key or field with its value."""

    name: str
    operand: Operand


class _Unfit(Exception):
    """The effects have no template: the pass builds them as the interpreter does."""


def effect_lines(code: CodeBuilder, step: ActionStep, inputs: Operands) -> list[str]:
    """The lines that append the effects of an action to ``effects``, in the order of spec 20 §11.1."""
    recipe = step.effects
    try:
        if len({intent.effect_kind for intent in recipe.intents}) < len(recipe.intents):
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
    parts = _filled(_WRITES, [_encode(SET_CONTEXT)], _listed(_WRITE, writes))
    if all(write.operand.constant is not None for write in writes):
        natives = tuple((write.name, _constant(write.operand)) for write in writes)
        effect = ProducedEffect(SET_CONTEXT, b"".join(part for part in parts if isinstance(part, bytes)), natives)
        return [f"effects.append({code.constant(effect)})"]
    pairs = "".join(f"({code.constant(write.name)}, {write.operand.name}), " for write in writes)
    return [_append(code, SET_CONTEXT, parts, f"({pairs})")]


def _intent(code: CodeBuilder, node: str, intent: IntentRecipe, fields: Sequence[_Named]) -> list[str]:
    effect_kind = _encode(intent.effect_kind)
    place = code.constant(intent_place(node, intent.effect_kind, intent.ordinal))
    identity = _Place(f"intent_id(scope, {place})")
    parts = _filled(_INTENT, [effect_kind], [effect_kind], [identity], _listed(_FIELD, fields))
    return [_append(code, intent.effect_kind, parts, "None")]


def _append(code: CodeBuilder, effect_kind: str, parts: Iterable[_Part], writes: str) -> str:
    return f"effects.append(ProducedEffect({code.constant(effect_kind)}, {_joined(code, parts)}, {writes}))"


def _filled(template: _Template, *places: Sequence[_Part]) -> list[_Part]:
    """The template with these parts in its places."""
    parts: list[_Part] = [template[0]]
    for filling, piece in zip(places, template[1:], strict=True):
        parts += [*filling, piece]
    return parts


def _listed(template: _Template, named: Sequence[_Named]) -> list[_Part]:
    """The writes or fields of an effect, between commas."""
    parts: list[_Part] = []
    for item in named:
        if parts:
            parts.append(b",")
        parts += _filled(template, [_encode(item.name)], _value_parts(item.operand))
    return parts


def _value_parts(operand: Operand) -> list[_Part]:
    if operand.constant is not None:
        return [_encode(Value.of(_constant(operand)))]
    expression = f"TRUE if {operand.name} else FALSE" if operand.native is bool else f"encode({operand.name})"
    return _filled(_VALUES[operand.native], [_Place(expression)])


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

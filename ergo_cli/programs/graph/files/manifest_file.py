"""Manifests of primitives as files (spec 20 §4.1, 30 §24.2).

A decoded manifest may still break registration rules. A word outside its vocabulary has the code of its family's rule;
any other fault of the text has the code ``INTERNAL``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.document_fields import Fields, Reading, described, is_out_of_range, string
from ergo_cli.core.document_parsers import parse_yaml
from ergo_cli.core.documents import LimitError, Node, Scalar
from ergo_cli.core.values import (
    ContextNeed,
    EffectSpecs,
    IntentFieldSpec,
    IntentSpec,
    MirrorWrite,
    ValueType,
    WriteSpec,
)
from ergo_cli.errors import DocumentError, RuleError
from ergo_cli.programs.graph.check.registration import (
    CADENCE_WORDS,
    PARAMETER_WORDS,
    no_such_word,
    unfit_default,
    unknown_cadence,
    unknown_cardinality,
    unknown_input_type,
    unknown_output_type,
    unknown_parameter_type,
)
from ergo_cli.programs.graph.check.rules import (
    Heading,
    write_type,
)
from ergo_cli.programs.graph.model import raise_headline
from ergo_cli.programs.graph.primitives.primitive import (
    ActionManifest,
    Cadence,
    Cardinality,
    ComputeErrorType,
    ComputeManifest,
    Family,
    InputSpec,
    Manifest,
    OutputSpec,
    ParameterSpec,
    ParameterType,
    ParameterValue,
    SourceManifest,
    TriggerManifest,
)

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
_COMPUTE_PARAMETER_WORDS = {
    "number": ParameterType.NUMBER,
    "bool": ParameterType.BOOL,
    "boolean": ParameterType.BOOL,
    "string": ParameterType.STRING,
    "int": ParameterType.NUMBER,
    "series": ParameterType.SERIES,
}
_CARDINALITIES = {cardinality.value.lower(): cardinality for cardinality in Cardinality}
COMPUTE_ERRORS = {
    "divisionbyzero": ComputeErrorType.DIVISION_BY_ZERO,
    "division_by_zero": ComputeErrorType.DIVISION_BY_ZERO,
    "nonfiniteresult": ComputeErrorType.NON_FINITE_RESULT,
    "non_finite_result": ComputeErrorType.NON_FINITE_RESULT,
    "invalidparameter": ComputeErrorType.INVALID_PARAMETER,
    "invalid_parameter": ComputeErrorType.INVALID_PARAMETER,
}


def lookup(words: dict[str, _T], word: str) -> _T | None:
    """What a word stands for; case does not matter."""
    return words.get(word.lower())


def parameter_types(family: Family) -> dict[str, ParameterType]:
    """The words for parameter types; an ``int`` of a compute is a Number."""
    return _COMPUTE_PARAMETER_WORDS if family is Family.COMPUTE else PARAMETER_WORDS


def cardinalities(family: Family) -> dict[str, Cardinality]:
    """The words for cardinalities; an action's inputs are single and have no rule that says so."""
    return {"single": Cardinality.SINGLE} if family is Family.ACTION else _CARDINALITIES


class DecodedManifest(Struct, frozen=True):
    """A manifest and the notices about its text."""

    manifest: Manifest
    notices: tuple[Notice, ...] = ()


def read_manifest(text: str, label: str) -> DecodedManifest:
    """The manifest of a YAML or JSON text. Raises as ``decode_manifest`` does, ``INTERNAL`` for a malformed text."""
    try:
        node = parse_yaml(text, label)
    except DocumentError as error:
        raise unreadable(error, label) from error
    return decode_manifest(node, label)


def decode_manifest(node: Node, label: str) -> DecodedManifest:
    """The manifest of a document. Raises RuleError for the first fault, the others in its ``causes``."""
    reading = Reading(label)
    try:
        fields = Fields(node, reading)
        heading = Heading(fields.string("id"), _family(fields, reading))
    except DocumentError as error:
        raise unreadable(error, label) from error
    parts = Parts(heading, reading)
    manifest = parts.attempt(lambda: _manifest(heading, parts, fields))
    raise_headline(parts.errors)
    assert manifest is not None, "decoding without an error gives a manifest"
    for opened in (fields, *parts.opened):
        opened.finish()
    return DecodedManifest(manifest, tuple(reading.notices))


def _family(fields: Fields, reading: Reading) -> Family:
    written = fields.string("kind")
    family = lookup(FAMILIES, written)
    if family is None:
        fix = f"write one of {', '.join(FAMILIES)}"
        raise reading.error("DEC-ENUM", f"unknown kind '{written}'", fields.node("kind"), "kind", fix)
    return family


def _manifest(heading: Heading, parts: Parts, fields: Fields) -> Manifest:
    match heading.family:
        case Family.SOURCE:
            return _source(heading.id, parts, fields)
        case Family.COMPUTE:
            return _compute(heading.id, parts, fields)
        case Family.TRIGGER:
            return _trigger(heading.id, parts, fields)
        case Family.ACTION:
            return _action(heading.id, parts, fields)


def _source(impl_id: str, parts: Parts, fields: Fields) -> SourceManifest:
    execution, state = parts.section(fields, "execution"), parts.section(fields, "state")
    return SourceManifest(
        id=impl_id,
        version=fields.string("version"),
        inputs=parts.inputs(fields),
        outputs=parts.outputs(fields),
        parameters=parts.parameters(fields),
        requires=parts.requires(fields),
        deterministic=execution.boolean("deterministic"),
        cadence=parts.cadence(execution),
        state_allowed=state.boolean("allowed"),
        side_effects=fields.boolean("side_effects"),
    )


def _compute(impl_id: str, parts: Parts, fields: Fields) -> ComputeManifest:
    execution, state = parts.section(fields, "execution"), parts.section(fields, "state")
    errors = parts.section(fields, "errors")
    return ComputeManifest(
        id=impl_id,
        version=fields.string("version"),
        inputs=parts.inputs(fields),
        outputs=parts.outputs(fields),
        parameters=parts.parameters(fields),
        deterministic=execution.boolean("deterministic"),
        cadence=parts.cadence(execution),
        may_error=execution.boolean("may_error"),
        errors_allowed=errors.boolean("allowed"),
        error_types=parts.error_types(errors),
        errors_deterministic=errors.boolean("deterministic"),
        state_allowed=state.boolean("allowed"),
        state_resettable=state.boolean("resettable"),
        state_description=state.optional_string("description"),
        side_effects=fields.boolean("side_effects"),
    )


def _trigger(impl_id: str, parts: Parts, fields: Fields) -> TriggerManifest:
    execution, state = parts.section(fields, "execution"), parts.section(fields, "state")
    return TriggerManifest(
        id=impl_id,
        version=fields.string("version"),
        inputs=parts.inputs(fields),
        outputs=parts.outputs(fields),
        parameters=parts.parameters(fields),
        deterministic=execution.boolean("deterministic"),
        cadence=parts.cadence(execution),
        state_allowed=state.boolean("allowed"),
        state_description=state.optional_string("description"),
        side_effects=fields.boolean("side_effects"),
    )


def _action(impl_id: str, parts: Parts, fields: Fields) -> ActionManifest:
    execution, state = parts.section(fields, "execution"), parts.section(fields, "state")
    return ActionManifest(
        id=impl_id,
        version=fields.string("version"),
        inputs=parts.inputs(fields),
        outputs=parts.outputs(fields),
        parameters=parts.parameters(fields),
        effects=parts.effects(fields),
        deterministic=execution.boolean("deterministic"),
        retryable=execution.boolean("retryable"),
        state_allowed=state.boolean("allowed"),
        side_effects=fields.boolean("side_effects"),
    )


class Parts:
    """Reads the parts of one manifest; goes on behind a faulty port, parameter or effect to find every fault."""

    def __init__(self, heading: Heading, reading: Reading) -> None:
        self.errors: list[RuleError] = []
        self.opened: list[Fields] = []
        self._heading = heading
        self._reading = reading

    def attempt(self, read: Callable[[], _T]) -> _T | None:
        """What ``read`` returns, or None once its error has been kept."""
        try:
            return read()
        except DocumentError as error:
            self.errors.append(unreadable(error, self._reading.label))
        except RuleError as error:
            self.errors.append(error)
        return None

    def inputs(self, fields: Fields) -> tuple[InputSpec, ...]:
        """The member ``inputs``."""
        return self._each(fields.fields_each("inputs"), self._input)

    def _input(self, port: Fields) -> InputSpec:
        name, heading = port.string("name"), self._heading
        type_ = self._word(port, "type", PORT_TYPES, partial(unknown_input_type, heading, name))
        cardinality = Cardinality.SINGLE
        if port.optional_node("cardinality") is not None:
            words = cardinalities(heading.family)
            cardinality = self._word(port, "cardinality", words, partial(unknown_cardinality, heading, name))
        return InputSpec(name, type_, port.boolean("required"), cardinality)

    def outputs(self, fields: Fields) -> tuple[OutputSpec, ...]:
        """The member ``outputs``."""
        return self._each(fields.fields_each("outputs"), self._output)

    def _output(self, port: Fields) -> OutputSpec:
        name, heading = port.string("name"), self._heading
        type_ = self._word(port, "type", PORT_TYPES, partial(unknown_output_type, heading, name))
        return OutputSpec(name, type_)

    def parameters(self, fields: Fields) -> tuple[ParameterSpec, ...]:
        """The member ``parameters``; none if absent."""
        return self._each_of(fields, "parameters", self._parameter)

    def _parameter(self, parameter: Fields) -> ParameterSpec:
        name, heading = parameter.string("name"), self._heading
        words = parameter_types(heading.family)
        type_ = self._word(parameter, "type", words, partial(unknown_parameter_type, heading, name))
        default = self._default(parameter, name, type_)
        required = default is None if heading.family is Family.SOURCE else parameter.boolean("required")
        return ParameterSpec(name, type_, default, required, parameter.optional_string("bounds"))

    def _default(self, parameter: Fields, name: str, declared: ParameterType) -> ParameterValue | None:
        node = parameter.optional_node("default")
        if node is None:
            return None
        fits_text = declared in (ParameterType.STRING, ParameterType.ENUM)
        if not isinstance(node, Scalar) or (is_out_of_range(node) and not fits_text):
            raise self._placed(unfit_default(self._heading, name, declared, described(node)), node)
        value = parameter.scalar("default")
        return None if value is None else ParameterValue.declared(value, declared)

    def requires(self, fields: Fields) -> tuple[ContextNeed, ...]:
        """The member ``requires``; none if absent."""
        requires = self.optional_section(fields, "requires")
        return self._each_of(requires, "context", self._need) if requires else ()

    def _need(self, need: Fields) -> ContextNeed:
        name = need.string("name")
        type_ = self._data_type(need, "$.requires.context[].type", f"reads context key '{name}'")
        return ContextNeed(name, type_, need.boolean("required"))

    def effects(self, fields: Fields) -> EffectSpecs:
        """The member ``effects``; none if absent."""
        effects = self.optional_section(fields, "effects")
        if effects is None:
            return EffectSpecs()
        writes = self._each_of(effects, "writes", self._write)
        return EffectSpecs(writes, self._each_of(effects, "intents", self._intent))

    def _write(self, write: Fields) -> WriteSpec:
        name, heading = write.string("name"), self._heading
        type_ = self._word(write, "type", PORT_TYPES, partial(write_type, heading, name))
        return WriteSpec(name, type_, write.string("from_input"))

    def _intent(self, intent: Fields) -> IntentSpec:
        name = intent.string("name")
        fields = self._each_of(intent, "fields", self._intent_field)
        return IntentSpec(name, fields, self._each_of(intent, "mirror_writes", self._mirror_write))

    def _intent_field(self, field: Fields) -> IntentFieldSpec:
        name = field.string("name")
        type_ = self._data_type(field, "$.effects.intents[].fields[].type", f"declares intent field '{name}'")
        return IntentFieldSpec(name, type_, field.optional_string("from_input"), field.optional_string("from_param"))

    def _mirror_write(self, mirror: Fields) -> MirrorWrite:
        name = mirror.string("name")
        type_ = self._data_type(mirror, "$.effects.intents[].mirror_writes[].type", f"mirrors a field as '{name}'")
        return MirrorWrite(name, type_, mirror.string("from_field"))

    def cadence(self, execution: Fields) -> Cadence:
        """The member ``cadence`` of ``execution``."""
        return self._word(execution, "cadence", CADENCE_WORDS, partial(unknown_cadence, self._heading))

    def error_types(self, errors: Fields) -> tuple[ComputeErrorType, ...]:
        """The member ``types`` of ``errors``; none if absent."""
        found: list[ComputeErrorType] = []
        for index, node in enumerate(errors.sequence_or_empty("types")):
            word = string(self._reading, node, f"{errors.path_of('types')}[{index}]")
            error_type = lookup(COMPUTE_ERRORS, word)
            if error_type is None:
                sentence = f"may fail with '{word}', which no compute does"
                raise self._placed(no_such_word(self._heading, "$.errors.types[]", sentence, COMPUTE_ERRORS), node)
            found.append(error_type)
        return tuple(found)

    def _data_type(self, fields: Fields, path: str, sentence: str) -> ValueType:
        def unknown(word: str) -> RuleError:
            return no_such_word(self._heading, path, f"{sentence} of type {word}", DATA_TYPES)

        return self._word(fields, "type", DATA_TYPES, unknown)

    def _word(self, fields: Fields, name: str, words: dict[str, _T], unknown: Callable[[str], RuleError]) -> _T:
        word = fields.string(name)
        meaning = lookup(words, word)
        if meaning is None:
            raise self._placed(unknown(word), fields.node(name))
        return meaning

    def _placed(self, error: RuleError, node: Node) -> RuleError:
        error.where = f"{self._reading.place(node)} {error.path}"
        return error

    def section(self, fields: Fields, name: str) -> Fields:
        """A member that is a mapping."""
        section = fields.fields(name)
        self.opened.append(section)
        return section

    def optional_section(self, fields: Fields, name: str) -> Fields | None:
        """A member that is a mapping, or None if absent. A written null is refused."""
        return self.section(fields, name) if name in fields else None

    def _each_of(self, fields: Fields, name: str, read: Callable[[Fields], _T]) -> tuple[_T, ...]:
        return self._each(fields.fields_each(name), read) if name in fields else ()

    def _each(self, items: Sequence[Fields], read: Callable[[Fields], _T]) -> tuple[_T, ...]:
        self.opened += items
        values = [self.attempt(partial(read, item)) for item in items]
        return tuple(value for value in values if value is not None)


def unreadable(error: DocumentError, label: str) -> RuleError:
    """The INTERNAL error of a text that cannot be read as a manifest, DEC-SYNTAX beyond a limit; names the file."""
    message = f"manifest '{label}' cannot be read: {error.message}"
    fix = error.fix or "Correct the text so that it is valid YAML or JSON"
    rule = error.code if isinstance(error, LimitError) else "INTERNAL"
    return RuleError(rule, message, phase="registration", where=error.where, fix=fix, causes=error.causes)

"""The registration rules of actions but for their intents, in their order (ACT-1 … ACT-23)."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.core.declarations import WriteSpec
from ergo_cli.core.repeats import repeats
from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.manifest import ActionManifest
from ergo_cli.programs.graph.registration.common import (
    OUTPUT_TYPE_FIX,
    VALUES,
    defaults,
    identity,
    not_an_event,
    unique_input,
)
from ergo_cli.programs.graph.registration.intents import intents
from ergo_cli.programs.graph.registration.rules import Check, Subject, broken, key_reference, refuse_if


def _unique_inputs(action: ActionManifest) -> Iterator[RuleError]:
    repeated = repeats(port.name for port in action.inputs)
    for index, port in enumerate(action.inputs):
        if index in repeated:
            yield unique_input(action, "ACT-5", index, port.name)


def _writes(action: ActionManifest) -> Iterator[RuleError]:
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
    """The error of a write whose type is no data (ACT-15)."""
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
    identity,
    _unique_inputs,
    defaults("ACT-19"),
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
    refuse_if(
        "ACT-17",
        "NonDeterministicExecution",
        "$.execution.deterministic",
        lambda action: not action.deterministic,
        "is declared not deterministic",
        "Set execution.deterministic to true",
    ),
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
    _writes,
    intents,
    _outcome,
)

"""The registration rules of triggers, in their order (TRG-1 … TRG-14)."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.manifest import TriggerManifest
from ergo_cli.programs.graph.registration.common import defaults, identity, inputs, not_an_event
from ergo_cli.programs.graph.registration.rules import Check, broken, refuse_if

TRIGGER_INPUTS = (ValueType.NUMBER, ValueType.BOOL, ValueType.SERIES, ValueType.EVENT)


def _one_event(trigger: TriggerManifest) -> Iterator[RuleError]:
    if len(trigger.outputs) != 1:
        sentence = f"declares {len(trigger.outputs)} outputs instead of one"
        fix = "Declare exactly one output of type event"
        yield broken(trigger, "TRG-7", "TriggerWrongOutputCount", "$.outputs", sentence, fix)
    elif trigger.outputs[0].type is not ValueType.EVENT:
        yield not_an_event(trigger, "TRG-8", trigger.outputs[0].name, trigger.outputs[0].type.value)


TRIGGER_RULES: tuple[Check[TriggerManifest], ...] = (
    identity,
    refuse_if(
        "TRG-4",
        "NoInputsDeclared",
        "$.inputs",
        lambda trigger: not trigger.inputs,
        "declares no inputs",
        "Declare at least one input",
    ),
    inputs(duplicate="TRG-5", type_rule="TRG-6", allowed=TRIGGER_INPUTS, cardinality="TRG-12"),
    defaults("TRG-14"),
    refuse_if(
        "TRG-10",
        "SideEffectsNotAllowed",
        "$.side_effects",
        lambda trigger: trigger.side_effects,
        "declares side effects, which only actions have",
        "Set side_effects to false",
    ),
    refuse_if(
        "TRG-11",
        "NonDeterministicExecution",
        "$.execution.deterministic",
        lambda trigger: not trigger.deterministic,
        "is declared not deterministic",
        "Set execution.deterministic to true",
    ),
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

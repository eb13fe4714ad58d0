"""The six standard actions (spec 20 §5.4). What they write is declared in their manifests, not done here."""

from __future__ import annotations

from collections.abc import Mapping

from ergo_cli.core.declarations import EffectSpecs, WriteSpec
from ergo_cli.core.values import NativeValue, ValueType
from ergo_cli.programs.graph.manifest import ActionManifest, InputSpec, OutputSpec, ParameterSpec
from ergo_cli.programs.graph.parameters import ParameterType, ParameterValue
from ergo_cli.programs.graph.primitives.primitive import ActionPrimitive, Execute, Parameters
from ergo_cli.programs.graph.signals import ActionOutcome

ActionInputs = Mapping[str, NativeValue | ActionOutcome]


def acknowledge(inputs: ActionInputs, params: Parameters) -> dict[str, ActionOutcome]:
    """Completed, or Rejected where the parameter ``accept`` is false."""
    rejected = params.get("accept") is False
    return {"outcome": ActionOutcome.REJECTED if rejected else ActionOutcome.COMPLETED}


def attempt(inputs: ActionInputs, params: Parameters) -> dict[str, ActionOutcome]:
    """Attempted, whatever the inputs."""
    return {"outcome": ActionOutcome.ATTEMPTED}


def _action(
    impl_id: str,
    execute: Execute,
    *,
    payload: tuple[InputSpec, ...] = (),
    parameter: ParameterSpec,
    effects: EffectSpecs = EffectSpecs(),
) -> ActionPrimitive:
    manifest = ActionManifest(
        impl_id,
        "0.1.0",
        inputs=(InputSpec("event", ValueType.EVENT), *payload),
        outputs=(OutputSpec("outcome", ValueType.EVENT),),
        parameters=(parameter,),
        effects=effects,
    )
    return ActionPrimitive(manifest, execute)


def _optional(name: str, default: ParameterValue) -> ParameterSpec:
    return ParameterSpec(name, default.type, default)


def _context_set(impl_id: str, value: ValueType) -> ActionPrimitive:
    return _action(
        impl_id,
        attempt,
        payload=(InputSpec("value", value),),
        parameter=ParameterSpec("key", ParameterType.STRING, required=True),
        effects=EffectSpecs(writes=(WriteSpec("$key", value, from_input="value"),)),
    )


ACTIONS: tuple[ActionPrimitive, ...] = (
    _action("ack_action", acknowledge, parameter=_optional("accept", ParameterValue(ParameterType.BOOL, True))),
    _action("annotate_action", attempt, parameter=_optional("note", ParameterValue(ParameterType.STRING, ""))),
    _context_set("context_set_number", ValueType.NUMBER),
    _context_set("context_set_bool", ValueType.BOOL),
    _context_set("context_set_string", ValueType.STRING),
    _context_set("context_set_series", ValueType.SERIES),
)

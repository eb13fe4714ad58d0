"""The two standard triggers (spec 20 §5.3)."""

from __future__ import annotations

from collections.abc import Mapping

from ergo_cli.core.values import NativeValue, ValueType
from ergo_cli.programs.graph.manifest import InputSpec, OutputSpec, TriggerManifest
from ergo_cli.programs.graph.primitives.primitive import Evaluate, Parameters, TriggerPrimitive
from ergo_cli.programs.graph.primitives.reading import boolean
from ergo_cli.programs.graph.signals import TriggerEvent

TriggerInputs = Mapping[str, NativeValue | TriggerEvent]


def emit_if_true(inputs: TriggerInputs, params: Parameters) -> dict[str, TriggerEvent]:
    """Emitted exactly when ``input`` is true."""
    return {"event": _decision(boolean(inputs, "input"))}


def emit_if_event_and_true(inputs: TriggerInputs, params: Parameters) -> dict[str, TriggerEvent]:
    """Emitted exactly when ``event`` is Emitted and ``condition`` is true."""
    return {"event": _decision(inputs["event"] is TriggerEvent.EMITTED and boolean(inputs, "condition"))}


def _decision(happens: bool) -> TriggerEvent:
    return TriggerEvent.EMITTED if happens else TriggerEvent.NOT_EMITTED


def _trigger(impl_id: str, inputs: tuple[InputSpec, ...], evaluate: Evaluate) -> TriggerPrimitive:
    manifest = TriggerManifest(impl_id, "0.1.0", inputs, outputs=(OutputSpec("event", ValueType.EVENT),))
    return TriggerPrimitive(manifest, evaluate)


TRIGGERS: tuple[TriggerPrimitive, ...] = (
    _trigger("emit_if_true", (InputSpec("input", ValueType.BOOL),), emit_if_true),
    _trigger(
        "emit_if_event_and_true",
        (InputSpec("event", ValueType.EVENT), InputSpec("condition", ValueType.BOOL)),
        emit_if_event_and_true,
    ),
)

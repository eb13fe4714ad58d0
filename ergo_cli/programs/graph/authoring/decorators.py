"""The four decorators that make a plain function a primitive (spec 20 §3, §6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, ParamSpec, TypeVar

from ergo_cli.core.declarations import ContextNeed
from ergo_cli.core.values import NativeValue
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.authoring.calls import compute_call, evaluate_call, execute_call, produce_call
from ergo_cli.programs.graph.authoring.effects import NOTHING, IntentTemplate, effect_specs
from ergo_cli.programs.graph.authoring.signature import Signature, place_of, read_signature
from ergo_cli.programs.graph.manifest import (
    ActionManifest,
    ComputeErrorType,
    ComputeManifest,
    Family,
    SourceManifest,
    TriggerManifest,
)
from ergo_cli.programs.graph.manifest_words import Heading
from ergo_cli.programs.graph.primitives.primitive import (
    CallT,
    Compute,
    Evaluate,
    Execute,
    ManifestT,
    Primitive,
    Produce,
)
from ergo_cli.programs.graph.signals import ActionOutcome

P = ParamSpec("P")
R = TypeVar("R")
ResultT = TypeVar("ResultT", bound=NativeValue | tuple[NativeValue, ...])


class OwnPrimitive(Primitive[ManifestT, CallT], Generic[ManifestT, CallT, P, R], frozen=True, kw_only=True):
    """A primitive written as a plain function; called like one, it is that function."""

    function: Callable[P, R]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """What the function returns for these arguments."""
        return self.function(*args, **kwargs)


def source(
    impl_id: str, version: str, *, keys: Mapping[str, str] = NOTHING
) -> Callable[[Callable[P, ResultT]], OwnPrimitive[SourceManifest, Produce, P, ResultT]]:
    """A source: its positional arguments are context keys of their name, or of the name that ``keys`` gives them.

    A key ``$p`` is the value of the String parameter ``p``. The decorator raises RuleError as ``read_signature``.
    """

    def declare(function: Callable[P, ResultT]) -> OwnPrimitive[SourceManifest, Produce, P, ResultT]:
        signature = _signature(function, impl_id, Family.SOURCE)
        needs = tuple(
            ContextNeed(keys.get(port.name, port.name), port.type, port.required) for port in signature.inputs
        )
        manifest = SourceManifest(impl_id, version, signature.outputs, signature.parameters, needs)
        call = produce_call(function, signature, needs)
        return OwnPrimitive(manifest, call, place_of(function), function=function)

    return declare


def compute(
    impl_id: str, version: str, *, errors: Sequence[ComputeErrorType] = ()
) -> Callable[[Callable[P, ResultT]], OwnPrimitive[ComputeManifest, Compute, P, ResultT]]:
    """A compute: a pure function of its inputs; ``errors`` are the kinds of ``ComputeFault`` that it raises.

    The decorator raises RuleError as ``read_signature``.
    """

    def declare(function: Callable[P, ResultT]) -> OwnPrimitive[ComputeManifest, Compute, P, ResultT]:
        signature = _signature(function, impl_id, Family.COMPUTE)
        manifest = ComputeManifest(
            impl_id,
            version,
            signature.inputs,
            signature.outputs,
            signature.parameters,
            may_error=bool(errors),
            errors_allowed=bool(errors),
            error_types=tuple(errors),
        )
        return OwnPrimitive(manifest, compute_call(function, signature), place_of(function), function=function)

    return declare


def trigger(
    impl_id: str, version: str
) -> Callable[[Callable[P, bool]], OwnPrimitive[TriggerManifest, Evaluate, P, bool]]:
    """A trigger: its function says whether the event happens. The decorator raises RuleError as ``read_signature``."""

    def declare(function: Callable[P, bool]) -> OwnPrimitive[TriggerManifest, Evaluate, P, bool]:
        signature = _signature(function, impl_id, Family.TRIGGER)
        manifest = TriggerManifest(impl_id, version, signature.inputs, signature.outputs, signature.parameters)
        return OwnPrimitive(manifest, evaluate_call(function, signature), place_of(function), function=function)

    return declare


def action(
    impl_id: str, version: str, *, writes: Mapping[str, str] = NOTHING, intents: Sequence[IntentTemplate] = ()
) -> Callable[[Callable[P, ActionOutcome]], OwnPrimitive[ActionManifest, Execute, P, ActionOutcome]]:
    """An action: ``writes`` maps context keys to the inputs they are set from; its function gives only the outcome.

    A key ``$p`` is the value of the String parameter ``p``. The decorator raises RuleError as ``read_signature``.
    """

    def declare(function: Callable[P, ActionOutcome]) -> OwnPrimitive[ActionManifest, Execute, P, ActionOutcome]:
        signature = _signature(function, impl_id, Family.ACTION)
        effects = effect_specs(signature, writes, intents)
        manifest = ActionManifest(impl_id, version, signature.inputs, signature.outputs, signature.parameters, effects)
        return OwnPrimitive(manifest, execute_call(function, signature), place_of(function), function=function)

    return declare


def _signature(function: Callable[..., object], impl_id: str, family: Family) -> Signature:
    try:
        return read_signature(function, Heading(impl_id, family))
    except RuleError as error:
        error.where = f"{place_of(function)} {error.path}"
        raise

"""The interface for modules of own primitives: four decorators and the types they use (spec 30 §27).

A primitive is a plain function. Its signature is its manifest: positional arguments are inputs (of a source: context
keys), keyword-only ones parameters, what it returns is its output. ``float`` is a Number, ``bool`` a Bool, ``str`` a
String, ``list[float]`` a Series; a ``Literal`` of texts is an Enum, a NamedTuple several outputs::

    from ergo_cli.primitives import ActionOutcome, IntentTemplate, action, compute, source, trigger

    @source("last_price", "1.0.0", keys={"price": "$key"})
    def last_price(price: float = 0.0, *, key: str = "price") -> float:
        return price

    @compute("ema", "1.0.0")
    def ema(value: float, average: float, *, alpha: float = 0.2) -> float:
        return average + alpha * (value - average)

    @trigger("crossed", "1.0.0")
    def crossed(before: float, now: float, *, level: float) -> bool:
        return before <= level < now

    @action(
        "place_order",
        "1.0.0",
        writes={"ordered": "qty"},
        intents=[IntentTemplate("place_order", {"qty": "qty", "venue": "venue"}, mirror_writes={"last_qty": "qty"})],
    )
    def place_order(event: ActionOutcome, qty: float, *, venue: str = "main") -> ActionOutcome:
        return ActionOutcome.ATTEMPTED

Name the module in ``ergo.toml``, ``primitives = "package.module"``, and graphs use ``impl: ema@^1.0``.
"""

from __future__ import annotations

from ergo_cli.programs.graph.authoring.decorators import IntentTemplate, OwnPrimitive, action, compute, source, trigger
from ergo_cli.programs.graph.primitives.primitive import ActionOutcome, ComputeErrorType, ComputeFault, TriggerEvent

__all__ = [
    "ActionOutcome",
    "ComputeErrorType",
    "ComputeFault",
    "IntentTemplate",
    "OwnPrimitive",
    "TriggerEvent",
    "action",
    "compute",
    "source",
    "trigger",
]

# pyright: strict
"""A module of own primitives with a fault on each marked line, which a type checker has to find."""

from __future__ import annotations

from ergo_cli.primitives import ActionOutcome, IntentTemplate, action, compute, source, trigger


@source("prices", "1.0.0")  # refused: a mapping is no output
def prices(price: float) -> dict[str, float]:
    return {"price": price}


@source("key", "1.0.0", keys={"price": 1})  # refused: a key is a text
def key(price: float) -> float:
    return price


@compute("half", "1.0.0")
def half(value: float) -> float:
    return "half"  # refused: a text is no number


@compute("twice", "1.0.0")
def twice(value: list[float]) -> float:
    return value * 2  # refused: the input is a series


@compute("counts", "1.0.0")  # refused: a series holds floats
def counts(value: float) -> list[int]:
    return [int(value)]


@trigger("maybe", "1.0.0")  # refused: a trigger decides
def maybe(value: float) -> float:
    return value


@action("quiet", "1.0.0")  # refused: an action has an outcome
def quiet(event: ActionOutcome) -> None:
    return None


@action("loud", "1.0.0", intents=[IntentTemplate("shout", {"text": 1})])  # refused: a field names an argument
def loud(event: ActionOutcome) -> ActionOutcome:
    return ActionOutcome.COMPLETED


text: str = half(1.0)  # refused: it gives a float
half("1")  # refused: it takes a float

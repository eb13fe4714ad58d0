# pyright: strict
"""A module of own primitives as it should be; a type checker has nothing to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from ergo_cli.primitives import (
    ActionOutcome,
    ComputeErrorType,
    ComputeFault,
    IntentTemplate,
    TriggerEvent,
    action,
    compute,
    source,
    trigger,
)


class Band(NamedTuple):
    low: float
    high: float


@source("last_price", "1.0.0", keys={"price": "$key"})
def last_price(price: float = 0.0, *, key: str = "price") -> float:
    return price


@source("account", "1.0.0")
def account(owner: str, balance: float | None = None) -> str:
    return f"{owner}:{balance}"


@compute("ema", "1.0.0")
def ema(value: float, before: float | None = None, *, alpha: float = 0.5) -> float:
    return value if before is None else before + alpha * (value - before)


@compute("band", "1.1.0")
def band(prices: Sequence[float], *, width: float = 1) -> Band:
    return Band(prices[0] - width, prices[-1] + width)


@compute("shift", "1.0.0", errors=[ComputeErrorType.INVALID_PARAMETER])
def shift(prices: list[float], *, by: int = 1) -> list[float]:
    if by > len(prices):
        raise ComputeFault(ComputeErrorType.INVALID_PARAMETER, "by", "there are not as many prices")
    del prices[:by]
    return prices


@trigger("rises_above", "1.0.0")
def rises_above(before: float, now: float, *, level: float) -> bool:
    return before < level <= now


@trigger("unless", "1.0.0")
def unless(event: TriggerEvent, condition: bool) -> bool:
    return event is TriggerEvent.EMITTED and not condition


@action(
    "place_order",
    "1.0.0",
    writes={"order_qty": "qty", "$key": "symbol"},
    intents=[
        IntentTemplate("place_order", {"symbol": "symbol", "qty": "qty", "venue": "venue"}, {"last_symbol": "symbol"}),
        IntentTemplate("notify", {"text": "symbol"}),
    ],
)
def place_order(
    event: ActionOutcome,
    symbol: str,
    qty: float,
    *,
    venue: str = "main",
    key: str = "symbol",
    side: Literal["buy", "sell"] = "buy",
) -> ActionOutcome:
    return ActionOutcome.COMPLETED if side == "buy" else ActionOutcome.REJECTED


smoothed: float = ema(2.0, 1.0, alpha=0.25)
fires: bool = rises_above(1.0, 2.0, level=1.5)

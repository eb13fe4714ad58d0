"""The pipeline: sales come in, the stock is counted, what runs low is ordered. Handlers compute; ``supplier`` acts."""

from __future__ import annotations

from typing import Any

from ergo_cli.programs.pipeline import (
    Effects,
    Event,
    HandlerError,
    PipelineProgram,
    sink,
    source,
    stateful,
    transform,
)

LIMIT = 5
"""How many pieces of an article must be left."""

FULL = 10
"""How many pieces there are of every article at first, and after an order."""


Stock = dict[str, Any]
"""Under ``left`` the pieces of each article that was sold, under ``low`` what is to be ordered."""


def check(sale: Event) -> list[Event]:
    """Pass a sale on. One that cannot be goes to the error journal, and the others go on."""
    if sale.payload["pieces"] < 1:
        raise HandlerError("nothing was sold", "PermanentFailure")
    return [sale]


def full() -> Stock:
    """The stock at first: nothing has left it."""
    return {"left": {}, "low": []}


def count(stock: Stock, sale: Event) -> None:
    """Take the pieces from the stock, and note an article that runs low."""
    article = sale.payload["article"]
    left = stock["left"].get(article, FULL) - sale.payload["pieces"]
    if left < LIMIT:
        stock["low"].append({"article": article, "pieces": FULL - left})
        left = FULL
    stock["left"][article] = left


def runs_low(stock: Stock) -> bool:
    """Whether something is to be ordered."""
    return bool(stock["low"])


def reorder(stock: Stock) -> list[Event]:
    """What is to be ordered now."""
    low, stock["low"] = stock["low"], []
    return [Event("low", article) for article in low]


def order(low: Event, effects: Effects) -> None:
    """Order the pieces. The answer is recorded; a replay gets it from the bundle and orders nothing."""
    effects.perform("supplier.order", low.payload, key=low.id)


program = PipelineProgram(
    "stock",
    stages=(
        source("sales"),
        transform("check", check),
        stateful(
            "count",
            full,
            count,
            reorder,
            should_emit=runs_low,
        ),
        sink("orders", order),
    ),
    edges=(("sales", "check"), ("check", "count"), ("count", "orders")),
    effects={"supplier.order": "supplier:order"},  # imported by live runs only
    version="1",
)

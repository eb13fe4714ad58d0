"""The carrier: answers the calls of the plan. Put your own transports here."""

from __future__ import annotations

from typing import Any

from ergo_cli.programs.plan import IoCall, transport_failed


def answer(call: IoCall) -> Any:
    """The price of a parcel. Raise ``transport_failed(…, retryable=True)`` where trying again can help."""
    grams = call.request["grams"]
    if grams <= 0:
        raise transport_failed("no_weight", "a parcel weighs something")
    return {"cents": grams * 2}

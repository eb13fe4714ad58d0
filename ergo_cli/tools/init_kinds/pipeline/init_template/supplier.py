"""The supplier: performs the effects of the pipeline. Put your own executors here."""

from __future__ import annotations

from typing import Any

from ergo_cli.programs.pipeline import EffectCall, EffectFailed


def order(low: Any, call: EffectCall) -> Any:
    """Order an article; ``call.key`` names this order and no other. Raise ``EffectFailed`` where it cannot be done."""
    if low["pieces"] > 100:
        raise EffectFailed("too_many", "the supplier has no more than 100 pieces")
    return {"ordered": low["pieces"]}

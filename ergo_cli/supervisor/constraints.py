"""The limits a supervisor keeps (spec 10 §18)."""

from __future__ import annotations

from msgspec import Struct


class Constraints(Struct, frozen=True):
    """Limits of a run. Durations are ns; None means unlimited."""

    max_in_flight: int | None = None
    max_per_window: int | None = None
    rate_window: int | None = None
    deadline: int | None = None
    max_retries: int = 0

"""What a stage counts of its work (spec 60 §17.1)."""

from __future__ import annotations

from collections import Counter

from ergo_cli.programs.pipeline.metrics import StageMetrics
from ergo_cli.programs.pipeline.status import ErrorKind


class StageCounters:
    """The counters of one stage; times, latencies and loops are zero under a clock that stands."""

    def __init__(self) -> None:
        self.processed = 0
        self.accumulated = 0
        self.emitted = 0
        self.errors: Counter[str] = Counter()

    def failed(self, kind: ErrorKind | None) -> None:
        """Count an error."""
        self.errors[(kind or ErrorKind.UNKNOWN).value] += 1

    def metrics(self) -> StageMetrics:
        """The counters as events carry them."""
        return StageMetrics(
            events_processed_total=self.processed,
            events_accumulated_total=self.accumulated,
            events_emitted_total=self.emitted,
            errors_total=self.errors.total(),
            errors_by_kind=dict(sorted(self.errors.items())),
            in_flight=0,
            recent_p50_ms=0,
            recent_p90_ms=0,
            recent_p95_ms=0,
            recent_p99_ms=0,
            recent_p999_ms=0,
            event_loops_total=0,
            event_loops_with_work_total=0,
        )

"""The counters that lifecycle events carry (spec 60 §7.1, §7.2, §17.1)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ergo_cli.programs.pipeline.counters import Count


class StageMetrics(Struct, frozen=True, kw_only=True):
    """The counters of one stage: totals, latencies in milliseconds, processing time in nanoseconds."""

    events_processed_total: Count
    events_accumulated_total: Count = 0
    events_emitted_total: Count = 0
    errors_total: Count
    errors_by_kind: Mapping[str, Count]
    in_flight: Count
    recent_p50_ms: Count
    recent_p90_ms: Count
    recent_p95_ms: Count
    recent_p99_ms: Count
    recent_p999_ms: Count
    processing_time_sum_nanos: Count = 0
    event_loops_total: Count
    event_loops_with_work_total: Count


class FlowMetrics(Struct, frozen=True):
    """The counters of a whole flow: read by sources, written by sinks, failed anywhere."""

    events_in_total: Count
    events_out_total: Count
    errors_total: Count

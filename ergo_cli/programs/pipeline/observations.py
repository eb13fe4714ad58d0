"""What stages observe of themselves, in their own journals; readers pass it over (spec 60 §6, §28)."""

from __future__ import annotations

from typing import Annotated, cast

from msgspec import Struct

from ergo_cli.core.wire import FLAT, FreeValue
from ergo_cli.programs.pipeline.counters import Count
from ergo_cli.programs.pipeline.ids import StageId


class _StageState(Struct, frozen=True, omit_defaults=True, tag_field="stage_state"):
    """A state that a stage has come to."""

    stage_id: StageId


class StageRuns(_StageState, frozen=True, tag="running"):
    """It runs."""


class StageDrains(_StageState, frozen=True, tag="draining"):
    """It takes no new input."""

    reason: str | None = None


class StageHasDrained(_StageState, frozen=True, tag="drained"):
    """It has worked off what it had."""

    events_processed: Count | None = None


class StageIsComplete(_StageState, frozen=True, tag="completed"):
    """It is done."""


class StageHasFailed(_StageState, frozen=True, tag="failed"):
    """It cannot go on."""

    error: str
    recoverable: bool | None = None


class _Measurement(Struct, frozen=True, omit_defaults=True, tag_field="metrics_event"):
    """A measurement, or a fact about measuring."""


class MeasuringReady(_Measurement, frozen=True, tag="ready"):
    """Measuring has begun."""


class StateSnapshot(_Measurement, frozen=True, tag="state_snapshot"):
    """Several measurements at once."""

    metrics: FreeValue
    window_duration_ms: Count | None = None


class ResourceUsage(_Measurement, frozen=True, tag="resource_usage"):
    """What the stage takes of the machine."""

    cpu_percent: float
    memory_bytes: Count


class Custom(_Measurement, frozen=True, tag="custom"):
    """Anything with a name: ``source.poll_error``, ``accumulator_heartbeat``."""

    name: str
    value: FreeValue


class MeasuringDrainRequested(_Measurement, frozen=True, tag="drain_requested"):
    """Measuring is to finish."""


class MeasuringDrained(_Measurement, frozen=True, tag="drained"):
    """Measuring has finished."""

    final_flush_count: Count | None = None


class _Observation(Struct, frozen=True, tag_field="observability_type"):
    """What is observed."""


class StageObservation(_Observation, frozen=True, tag="stage"):
    """The state of a stage."""

    state: Annotated[StageRuns | StageDrains | StageHasDrained | StageIsComplete | StageHasFailed, FLAT]


class MetricsObservation(_Observation, frozen=True, tag="metrics"):
    """A measurement."""

    measurement: Annotated[
        MeasuringReady | StateSnapshot | ResourceUsage | Custom | MeasuringDrainRequested | MeasuringDrained, FLAT
    ]


class MiddlewareObservation(_Observation, frozen=True, tag="middleware"):
    """An event of a middleware, as it was written."""

    middleware_event: str
    details: FreeValue


Observation = StageObservation | MetricsObservation | MiddlewareObservation

_SHORT_NAMES = {"drain_requested": "drain", "state_snapshot": "state", "resource_usage": "resource"}


def observation_name(observation: Observation) -> tuple[str, str]:
    """The name of an observation's family in journals, and its own: ``lifecycle.stage``, ``lifecycle.stage.failed``."""
    match observation:
        case StageObservation(state):
            family, name = "lifecycle.stage", _tag(state)
        case MetricsObservation(measurement):
            family, name = "lifecycle.metrics", _SHORT_NAMES.get(_tag(measurement), _tag(measurement))
        case MiddlewareObservation(name):
            family = "lifecycle.middleware"
    return family, f"{family}.{name}"


def _tag(record: Struct) -> str:
    return cast("str", record.__struct_config__.tag)

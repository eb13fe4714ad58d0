"""What a transition of the pipeline asks for; each is run in order by the supervisor (spec 60 §9.3)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.programs.pipeline.causes import ViolationCause
from ergo_cli.programs.pipeline.ids import StageId
from ergo_cli.programs.pipeline.stop_intent import StopMode


class CreateStages(Struct, frozen=True):
    """Initialise every stage that has upstreams, then every source."""


class StartCompletionSubscription(Struct, frozen=True):
    """Read the system journal from its beginning."""


class StartMetricsAggregator(Struct, frozen=True):
    """Start the aggregator, where there is one (§17.2)."""


class NotifyStagesStart(Struct, frozen=True):
    """Start every stage that has upstreams."""


class WritePipelineReadyForRun(Struct, frozen=True):
    """Append ``ready_for_run`` with the number of stages."""


class NotifySourceStart(Struct, frozen=True):
    """Append ``starting`` and ``running``, note when the flow started, then make ready and start each source."""


class WritePipelineStopRequested(Struct, frozen=True):
    """Append ``stop_requested``."""

    mode: StopMode


class StopSources(Struct, frozen=True):
    """Ask every source that is not drained to drain."""


class BeginDrain(Struct, frozen=True):
    """Append ``pipeline draining``; nothing enters the journals of stages."""


class HandleStageCompleted(Struct, frozen=True):
    """Note the completion of a stage; after the last one append ``all_stages_completed`` (§15.1)."""

    stage: StageId


class WritePipelineAbort(Struct, frozen=True):
    """Append a ``pipeline_abort`` signal to the data journal of every stage."""

    reason: ViolationCause
    upstream: StageId | None


class AbortTeardown(Struct, frozen=True):
    """Stop reading the system journal."""


class DrainMetrics(Struct, frozen=True):
    """Let the aggregator write its last metrics (§17.3)."""


class Cleanup(Struct, frozen=True):
    """End what still runs (§13.4)."""


Action = (
    CreateStages
    | StartCompletionSubscription
    | StartMetricsAggregator
    | NotifyStagesStart
    | WritePipelineReadyForRun
    | NotifySourceStart
    | WritePipelineStopRequested
    | StopSources
    | BeginDrain
    | HandleStageCompleted
    | WritePipelineAbort
    | AbortTeardown
    | DrainMetrics
    | Cleanup
)

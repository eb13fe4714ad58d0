"""A whole stream through a program: the loop of ``run`` and ``capture`` (spec 30 §11.1, §13.4)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ergo_cli.bundle.sink import BundleSink
from ergo_cli.errors import StepError
from ergo_cli.events.stream import EventStream
from ergo_cli.host.preparation import PreparedRun
from ergo_cli.host.realisation import HostEffects
from ergo_cli.host.runner import HostedRunner, StepOutcome
from ergo_cli.programs.graph.invoker import GraphInvoker
from ergo_cli.supervisor.log import Decision
from ergo_cli.supervisor.seam import Outcome


class RunSummary(Struct, frozen=True):
    """What a run came to; ``failed`` counts invoked episodes that did not complete."""

    graph_id: str
    events: int
    episodes: int
    invoked: int
    deferred: int
    skipped: int
    failed: int


def run_stream(
    run: PreparedRun, stream: EventStream, sink: BundleSink, on_step: Callable[[], None] | None = None
) -> RunSummary:
    """Step every event of ``stream``, recording into ``sink``; ``on_step`` is called after each.

    Raises EventError or StepError at the first fault in stream order; the caller must then drop what was recorded.
    """
    invoker = GraphInvoker(run.program)
    effects = HostEffects(run.adapter)
    runner = HostedRunner(
        run.program.graph_id, run.constraints, invoker, run.adapter, effects, sink, numbers=run.numbers
    )
    counts = dict.fromkeys(Decision, 0)
    failed = 0
    for event in stream:
        try:
            outcome = runner.step(event)
        except StepError as error:
            error.where = f"{stream.place} {error.where}" if error.where else stream.place
            raise
        counts[outcome.decision] += 1
        failed += _failed(outcome)
        if on_step is not None:
            on_step()
    return RunSummary(
        run.program.graph_id,
        stream.events,
        stream.episodes,
        counts[Decision.INVOKE],
        counts[Decision.DEFER],
        counts[Decision.SKIP],
        failed,
    )


def _failed(outcome: StepOutcome) -> bool:
    return outcome.decision is Decision.INVOKE and outcome.termination is not Outcome.COMPLETED

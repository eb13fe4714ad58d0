"""What the supervisor does next, state by state, when it has no request to answer (spec 60 §10)."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.programs.pipeline import system_events as said
from ergo_cli.programs.pipeline.causes import ViolationCause
from ergo_cli.programs.pipeline.context import PipelineContext, Read, last_metrics
from ergo_cli.programs.pipeline.contract_gate import judge
from ergo_cli.programs.pipeline.counters import raised
from ergo_cli.programs.pipeline.ids import StageId
from ergo_cli.programs.pipeline.lifecycle import (
    Abort,
    AbortRequested,
    AllStagesCompleted,
    BeginDrain,
    Created,
    Drained,
    Draining,
    Error,
    Event,
    Failed,
    MaterializationComplete,
    Materialized,
    Materializing,
    Run,
    Running,
    Shutdown,
    SourceCompleted,
    StageCompleted,
    StageReadinessComplete,
    State,
    StopRequested,
)
from ergo_cli.programs.pipeline.modes import StartupMode
from ergo_cli.programs.pipeline.stop_intent import STOP_TIMEOUT, Cancel
from ergo_cli.programs.pipeline.terminal_facts import terminal_fact

IDLE_MS = 10
"""How long the supervisor waits when there is nothing to read."""

MANUAL_WAIT_MS = 100
"""How long a ready pipeline waits between two looks for a request to run."""

LIVENESS_WARNING = 100
"""The idle rounds of a draining pipeline after which it warns, once."""

NANOS_A_MS = 1_000_000

DRAIN_EVIDENCE_MISSING = "drain_evidence_missing"
"""The reason of a pipeline whose stages completed, but not its contracts in time."""


class Unreadable(Struct, frozen=True):
    """The system journal could not be read."""

    error: str


class Sight(Struct, frozen=True, kw_only=True):
    """What the supervisor sees of the world in one round. Only what the state looks at has to be filled in.

    ``polled`` is the next event of the system journal or None, where ``polls`` asks for it; ``supervised`` the number
    of stages initialised (Materializing); ``ready`` the stages that say that they run (Materialized); ``tail`` the
    events that are not yet read (Drained, Failed).
    """

    polled: Read | Unreadable | None = None
    supervised: int = 0
    ready: frozenset[StageId] = frozenset()
    tail: tuple[Read, ...] = ()


class Continue(Struct, frozen=True):
    """Go round again, after a wait."""

    wait_ms: int = 0


class Transit(Struct, frozen=True):
    """Feed an event to the lifecycle."""

    event: Event


class Terminate(Struct, frozen=True):
    """Write what is left to write, and end."""


Directive = Continue | Transit | Terminate


class Decision(Struct, frozen=True):
    """The next context, what to do, the facts to append first (a failed append is logged only) and lines to log."""

    context: PipelineContext
    directive: Directive
    facts: tuple[said.PipelineFact, ...] = ()
    log: tuple[str, ...] = ()


def polls(state: State, context: PipelineContext, now_ns: int) -> bool:
    """Whether a decision takes an event from the system journal, if there is one."""
    match state:
        case Materialized() | Running():
            return True
        case Draining():
            return not context.stop.is_due(now_ns)
        case _:
            return False


def dispatch(state: State, context: PipelineContext, sight: Sight, now_ns: int) -> Decision:
    """Decide what comes next; ``now_ns`` is a moment of the monotonic clock."""
    match state:
        case Created():
            return Decision(context, Continue())
        case Materializing():
            return _when_materializing(context, sight)
        case Materialized(ready=False):
            return _before_readiness(context, sight)
        case Materialized():
            return _when_ready(context, sight, now_ns)
        case Running():
            return _when_running(state, context, sight)
        case SourceCompleted():
            return Decision(context, Transit(BeginDrain()))
        case Draining():
            return _when_draining(state, context, sight, now_ns)
        case AbortRequested():
            return _when_aborted(state, context)
        case Drained() | Failed():
            return _when_ended(state, context, sight, now_ns)


def _when_materializing(context: PipelineContext, sight: Sight) -> Decision:
    stages = len(context.topology.stages)
    if sight.supervised == stages > 0:
        return Decision(context, Transit(MaterializationComplete()))
    mismatch = f"Stage count mismatch: {sight.supervised} supervisors vs {stages} topology stages"
    return Decision(context, Transit(Error(mismatch)))


def _before_readiness(context: PipelineContext, sight: Sight) -> Decision:
    started = {stage.id for stage in context.topology.stages} - set(context.topology.expected_sources)
    if not started:
        return Decision(context, Transit(Error("source-only topologies are unsupported by the readiness barrier")))
    context = replace(context, running=context.running | sight.ready & started)
    context, failure = _read_before_run(context, sight, "before readiness")
    if failure is not None:
        return Decision(context, Transit(failure))
    if context.running.issuperset(started):
        return Decision(context, Transit(StageReadinessComplete()))
    return Decision(context, _go_on(sight))


def _when_ready(context: PipelineContext, sight: Sight, now_ns: int) -> Decision:
    context, failure = _read_before_run(context, sight, "while ready for run")
    if failure is not None:
        return Decision(context, Transit(failure))
    if context.startup is StartupMode.AUTO:
        return Decision(context, Transit(Run()))
    if not context.manual_wait_log.is_due(now_ns):
        return Decision(context, Continue(MANUAL_WAIT_MS))
    logged = replace(context, manual_wait_log=replace(context.manual_wait_log, logged_ns=now_ns))
    return Decision(logged, Continue(MANUAL_WAIT_MS), log=("waiting for external Run",))


def _read_before_run(context: PipelineContext, sight: Sight, when: str) -> tuple[PipelineContext, Error | None]:
    match sight.polled:
        case None:
            return context, None
        case Unreadable(error):
            return context, Error(f"System journal error: {error}")
        case Read() as read:
            context = context.after_reading(read)
    match read.event.event:
        case said.StageLifecycle(stage_id=stage, fact=said.StageRunning()):
            return replace(context, running=context.running | {stage}), None
        case said.StageLifecycle(stage_id=stage, fact=said.StageFailed(error=error, metrics=metrics)):
            text = f"Stage '{context.topology.name_of(stage)}' failed {when}: {error}"
            return context.with_metrics(stage, metrics), Error(text)
        case said.StageLifecycle(stage_id=stage, fact=said.StageCancelled(reason=reason, metrics=metrics)):
            text = f"Stage '{context.topology.name_of(stage)}' cancelled {when}: {reason}"
            return context.with_metrics(stage, metrics), Error(text)
        case _:
            return context, None


def _when_running(state: Running, context: PipelineContext, sight: Sight) -> Decision:
    match sight.polled:
        case None:
            return Decision(context, Continue(IDLE_MS))
        case Unreadable(error):
            return Decision(context, Transit(Error(f"System journal error: {error}")))
        case Read() as read:
            return _take(state, context, read)


def _when_draining(state: Draining, context: PipelineContext, sight: Sight, now_ns: int) -> Decision:
    if context.stop.is_due(now_ns):
        stop = context.stop.apply(Cancel(), STOP_TIMEOUT, now_ns).intent
        late = StopRequested(Cancel(), STOP_TIMEOUT, now_ns)
        return Decision(replace(context, stop=stop), Transit(late))
    match sight.polled:
        case None:
            return _when_drain_is_idle(context, now_ns)
        case Unreadable(error):
            return Decision(context, Transit(Error(f"System journal error during drain: {error}")))
        case Read() as read:
            return _take(state, context, read)


def _take(state: Running | Draining, context: PipelineContext, read: Read) -> Decision:
    """React to an event of the system journal; one that is not known changes nothing (§7.4)."""
    context = context.after_reading(read)
    match read.event.event:
        case said.StageLifecycle(stage_id=stage, fact=fact):
            context, event = _hear_stage(context, stage, fact)
        case said.ContractStatus() as status:
            context, event = judge(state, context, status)
        case said.PipelineLifecycle(fact=said.AllStagesCompleted()):
            context = replace(context, is_marked=True)
            event = _when_all_completed(state, context)
        case _:
            event = None
    return Decision(context, Continue() if event is None else Transit(event))


def _hear_stage(
    context: PipelineContext, stage: StageId, fact: said.StageFact
) -> tuple[PipelineContext, StageCompleted | Error | None]:
    name = context.topology.name_of(stage)
    match fact:
        case said.StageRunning() | said.StageDrained():
            return context, None
        case said.StageDraining(metrics):
            return context.with_metrics(stage, metrics), None
        case said.StageCompleted(metrics):
            return context.with_metrics(stage, metrics), StageCompleted(stage)
        case said.StageCancelled(reason, metrics):
            error = None if context.stop.requested else Error(f"Stage '{name}' cancelled: {reason}")
            return context.with_metrics(stage, metrics), error
        case said.StageFailed(error, metrics=metrics):
            return context.with_metrics(stage, metrics), Error(f"Stage '{name}' failed: {error}")


def _when_all_completed(state: Running | Draining, context: PipelineContext) -> Event | None:
    """What the marker of the last completion leads to: nothing passes a failed or a missing contract (§15.3, H-17)."""
    failed = context.evidence.first_failed_edge()
    if failed is not None:
        return Abort(context.evidence.edges[failed].cause, failed[0])
    if context.evidence.is_complete:
        return AllStagesCompleted()
    return Shutdown() if isinstance(state, Running) else None


def _when_drain_is_idle(context: PipelineContext, now_ns: int) -> Decision:
    """Complete if all evidence is there; else wait, log and warn, and give up after ``drain_timeout_ms``."""
    evidence = context.evidence
    lines: list[str] = []
    if context.barrier_log.is_due(now_ns):
        context = replace(context, barrier_log=replace(context.barrier_log, logged_ns=now_ns))
        lines.append(f"draining: {barrier_text(context)}")
    if evidence.is_complete:
        facts = () if context.is_marked else (said.AllStagesCompleted(),)
        return Decision(replace(context, is_marked=True), Transit(AllStagesCompleted()), facts, tuple(lines))
    context = replace(context, idle_drains=raised(context.idle_drains))
    if context.idle_drains == LIVENESS_WARNING:
        lines.append(f"still draining after {LIVENESS_WARNING} idle rounds: {barrier_text(context)}")
    if evidence.has_all_stages:
        awaited_ns = now_ns if context.evidence_awaited_ns is None else context.evidence_awaited_ns
        context = replace(context, evidence_awaited_ns=awaited_ns)
        limit_ms = context.drain_timeout_ms
        if limit_ms is not None and now_ns - awaited_ns >= limit_ms * NANOS_A_MS:
            return Decision(context, Transit(Error(DRAIN_EVIDENCE_MISSING)), log=tuple(lines))
    return Decision(context, Continue(IDLE_MS), log=tuple(lines))


def barrier_text(context: PipelineContext) -> str:
    """What a draining pipeline waits for, for people."""
    barrier = context.evidence.barrier()
    name_of = context.topology.name_of
    stages = ", ".join(map(name_of, barrier.pending_stages)) or "none"
    contracts = ", ".join(f"{name_of(a)} → {name_of(b)}" for a, b in barrier.missing_contracts) or "none"
    return (
        f"{barrier.completed} of {barrier.total} stages completed, waiting for {stages}; "
        f"{barrier.satisfied_contracts} of {barrier.gating_contracts} gating contracts passed, missing {contracts}"
    )


def _when_aborted(state: AbortRequested, context: PipelineContext) -> Decision:
    upstream = "none" if state.upstream is None else context.topology.name_of(state.upstream)
    cause = wire.write(state.reason, ViolationCause).decode()
    return Decision(context, Transit(Error(f"Pipeline abort requested: {cause} (upstream={upstream})")))


def _when_ended(state: Drained | Failed, context: PipelineContext, sight: Sight, now_ns: int) -> Decision:
    context = last_metrics(context, sight.tail)
    fact = terminal_fact(state, context, now_ns)
    return Decision(context, Terminate(), () if fact is None else (fact,))


def _go_on(sight: Sight) -> Continue:
    return Continue(IDLE_MS if sight.polled is None else 0)

"""One dispatch of the original's supervisor for each case: contract statuses, completion, idle drains, terminal facts.

``instead`` says where the product decides otherwise, by which rule of spec 60. Also the lines of its §27 on gating,
contracts in the supervisor, and metrics: C-7 to C-20, C-40, C-43, C-55 to C-57, C-60 to C-63.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.core import wire
from ergo_cli.programs.pipeline import lifecycle
from ergo_cli.programs.pipeline import stage_machines as stages
from ergo_cli.programs.pipeline import system_events as said
from ergo_cli.programs.pipeline.causes import OtherCause, SeqDivergence, ViolationCause
from ergo_cli.programs.pipeline.completion import EdgeStatus, Evidence, is_gating
from ergo_cli.programs.pipeline.context import PipelineContext, Read, Throttle, flow_metrics, last_metrics
from ergo_cli.programs.pipeline.control import (
    CHANNEL_CLOSED,
    ExternalMode,
    RunOutcome,
    external_mode,
    run_outcome,
    stage_external_mode,
    stage_when_closed,
    when_closed,
)
from ergo_cli.programs.pipeline.dispatch import (
    Continue,
    Decision,
    Directive,
    Sight,
    Terminate,
    Transit,
    Unreadable,
    dispatch,
    polls,
)
from ergo_cli.programs.pipeline.idle_backoff import IDLE_CAP_MS, IdleBackoff
from ergo_cli.programs.pipeline.ids import EventId, StageId, SystemId, SystemWriter
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
from ergo_cli.programs.pipeline.metrics import FlowMetrics, StageMetrics
from ergo_cli.programs.pipeline.modes import SourceContract, StartupMode
from ergo_cli.programs.pipeline.state_machine import name_of
from ergo_cli.programs.pipeline.stop_intent import Cancel, Graceful, StopIntent, StopMode
from ergo_cli.programs.pipeline.system_events import ContractStatus, SystemEvent
from ergo_cli.programs.pipeline.topology import Edge, Stage, StageType, Topology

CASES = json.loads((Path(__file__).parent / "data/spec60/contracts_supervisor.json").read_bytes())["cases"]
TYPES = {
    "F": StageType.FINITE_SOURCE,
    "I": StageType.INFINITE_SOURCE,
    "T": StageType.TRANSFORM,
    "A": StageType.STATEFUL,
    "J": StageType.JOIN,
    "S": StageType.SINK,
}
SUPERVISOR = SystemWriter(SystemId("01940000000000000000000SYS"))
NOW = 5_000_000_000
MS = 1_000_000


def stage_id(number: int) -> StageId:
    return StageId(f"01JG{number:022}")


def number_of(stage: StageId) -> int:
    return int(stage[4:])


def topology_of(stages: list[Any], edges: list[Any]) -> Topology:
    return Topology(
        tuple(Stage(stage_id(number), name, TYPES[kind]) for number, kind, name in stages),
        tuple(Edge(stage_id(start), stage_id(end)) for start, end, *_ in edges),
    )


def recorded(fact: said.SystemFact, position: int) -> Read:
    return Read(position, SystemEvent(EventId(f"01940000{position:018}"), SUPERVISOR, fact, 0))


def system_fact(value: dict[str, Any]) -> said.SystemFact:
    members = {
        name: stage_id(int(member[1:])) if isinstance(member, str) and member.startswith("@") else member
        for name, member in value.items()
    }
    return wire.read(members, said.SystemFact)


def state_of(case: dict[str, Any]) -> State:
    match case["state"]:
        case "Materialized":
            return Materialized(ready=False)
        case "AbortRequested":
            upstream = case.get("upstream")
            named = None if upstream is None else stage_id(int(str(upstream).removeprefix("@")))
            return AbortRequested(wire.read(case["reason"], ViolationCause), named)
        case "Failed":
            cause = case["failure_cause"]
            return Failed(case["reason"], cause and wire.read(cause, ViolationCause))
        case name:
            return getattr(lifecycle, name)()


def context_of(case: dict[str, Any], mode: SourceContract) -> PipelineContext:
    evidence = Evidence(topology_of(case["stages"], case["edges"]), mode)
    for number in case.get("completed", ()):
        evidence = evidence.with_completed(stage_id(number))
    stop = StopIntent()
    for request in case.get("stop", ()):
        graceful_ms = request.get("graceful_ms")
        asked: StopMode = Cancel() if graceful_ms is None else Graceful(graceful_ms)
        stop = stop.apply(asked, request.get("reason"), NOW).intent
    started_ns = NOW if case.get("started") else None
    return PipelineContext(evidence=evidence, stop=stop, started_ns=started_ns, idle_drains=case.get("idle_start", 0))


class Supervisor:
    """Dispatches without ever applying a transition, as the driver of the original did."""

    def __init__(self, state: State, context: PipelineContext) -> None:
        self.state, self.context = state, context
        self.journal: list[Read] = []

    def append(self, fact: said.SystemFact) -> None:
        self.journal.append(recorded(fact, len(self.journal) + 1))

    def dispatch(self, now_ns: int = NOW, ready: frozenset[StageId] = frozenset()) -> Decision:
        polled = None
        if polls(self.state, self.context, now_ns) and self.context.position < len(self.journal):
            polled = self.journal[self.context.position]
        decision = dispatch(self.state, self.context, Sight(polled=polled, ready=ready), now_ns)
        self.context = decision.context
        for fact in decision.facts:
            self.append(said.PipelineLifecycle(fact))
        return decision

    def hear(self, fact: said.SystemFact) -> Directive:
        self.append(fact)
        return self.dispatch().directive


def event_text(event: Event) -> dict[str, Any]:
    match event:
        case Abort(reason, upstream):
            cause = json.loads(wire.write(reason, ViolationCause))
            return {"event": "Abort", "reason": cause, "upstream": upstream and f"@{number_of(upstream)}"}
        case Error(message):
            return {"event": "Error", "message": ABORTING if message.startswith(ABORTING) else message}
        case StopRequested(mode, reason):
            return {"event": "StopRequested", "mode": mode_text(mode), "reason": reason}
        case _:
            return {"event": name_of(event)}


def mode_text(mode: StopMode | None) -> Any:
    match mode:
        case Graceful(timeout_ms):
            return {"graceful_ms": timeout_ms}
        case _:
            return None if mode is None else "cancel"


def directive_text(directive: Directive) -> Any:
    match directive:
        case Transit(event):
            return {"transition": event_text(event)}
        case _:
            return name_of(directive)


def step_text(supervisor: Supervisor, decision: Decision) -> dict[str, Any]:
    context = decision.context
    written = [json.loads(wire.encode(said.PipelineLifecycle(fact))) for fact in decision.facts]
    stop = context.stop
    step = {
        "directive": directive_text(decision.directive),
        "source_status": [[number, True] for number in sorted(map(number_of, context.settled))],
        "metrics": sorted([number_of(stage), each.events_processed_total] for stage, each in context.metrics.items()),
        "running": sorted(map(number_of, context.running)),
        "written": [{**fact, "duration_ms": "<ms>"} if "duration_ms" in fact else fact for fact in written],
        "drain_idle_iters": context.idle_drains,
    }
    if stop.requested:
        step["stop"] = {
            "has_deadline": stop.deadline_ns is not None,
            "mode": mode_text(stop.mode),
            "reason": stop.reason,
            "reason_label": stop.label,
            "requested": stop.requested,
        }
    return {name: value for name, value in step.items() if value not in ([], 0)}


def played(case: dict[str, Any], mode: SourceContract) -> list[dict[str, Any]]:
    supervisor = Supervisor(state_of(case), context_of(case, mode))
    steps: list[dict[str, Any]] = []
    for event in case["events"]:
        supervisor.append(system_fact(event))
        steps.append(step_text(supervisor, supervisor.dispatch()))
    for _ in range(case.get("idle", 0)):
        steps.append(step_text(supervisor, supervisor.dispatch()))
    return steps


def has_all_evidence(case: dict[str, Any], mode: SourceContract, heard: list[Any]) -> bool:
    """Whether all stages have completed and all gating edges have last passed, as the case itself says."""
    readers = {end for _start, end, *_ in case["edges"]}
    passed = {(event["upstream"], event["reader"]): event["pass"] for event in heard if "pass" in event}
    gating = [
        (f"@{start}", f"@{end}") for start, end, *_ in case["edges"] if start in readers or mode is SourceContract.ABORT
    ]
    return set(case.get("completed", ())) >= {number for number, *_ in case["stages"]} and all(
        passed.get(pair, False) for pair in gating
    )


ABORTING = "Pipeline abort requested: "
MARKER = {"pipeline_event": "all_stages_completed", "system_event_type": "pipeline_lifecycle"}


def instead(case: dict[str, Any], mode: SourceContract, number: int, step: dict[str, Any]) -> dict[str, Any]:
    """The step of the original, changed by the rules under which the product differs."""
    heard = case["events"][: number + 1]
    event = heard[number] if number < len(case["events"]) else {}
    state, directive = case["state"], step["directive"]
    sources = {n for n, *_ in case["stages"]} - {end for _start, end, *_ in case["edges"]}
    names: dict[str | None, str] = {f"@{n}": name for n, _kind, name in case["stages"]}
    fact, name = event.get("lifecycle_event"), names.get(event.get("stage_id"), "unknown")
    wanted = dict(step)
    match state, fact:
        case "Running", None if event.get("pass") is False and directive == "Continue" and mode is SourceContract.WARN:
            settled = {n for n, _ in step.get("source_status", ())}
            if "advertised_writer_seq" in event and settled >= sources:  # H-15
                wanted["directive"] = {"transition": {"event": "Shutdown"}}
        case "Running" | "Draining", None if event == MARKER and directive != "Continue":
            if directive["transition"]["event"] == "AllStagesCompleted" and not has_all_evidence(case, mode, heard):
                shutdown = {"transition": {"event": "Shutdown"}}
                wanted["directive"] = shutdown if state == "Running" else "Continue"  # H-17
        case "Draining", "cancelled":  # H-12
            if not case.get("stop"):
                error = f"Stage '{name}' cancelled: {event['reason']}"
                wanted["directive"] = {"transition": {"event": "Error", "message": error}}
        case "Materialized", "failed" | "cancelled":  # H-11
            error = f"Stage '{name}' {fact} before readiness: {event.get('error') or event.get('reason')}"
            wanted["directive"] = {"transition": {"event": "Error", "message": error}}
        case "Materialized", _ if directive == {"transition": {"event": "Run"}}:  # §9.5: readiness is a step of its own
            wanted["directive"] = {"transition": {"event": "StageReadinessComplete"}}
        case "AbortRequested", _:  # §10: the rest of the text is for people
            wanted["directive"] = {"transition": {"event": "Error", "message": ABORTING}}
        case _:
            pass
    noted = {"Draining": ("draining", "cancelled"), "Materialized": ("failed", "cancelled")}.get(state, ())
    known = dict(step.get("metrics", ()))
    for each in heard:
        if each.get("lifecycle_event") in noted and "metrics" in each:  # H-11, H-12
            known[int(each["stage_id"][1:])] = each["metrics"]["events_processed_total"]
    if known:
        wanted["metrics"] = sorted([number, processed] for number, processed in known.items())
    if MARKER in case["events"]:  # §25: the marker is written once
        wanted.pop("written", None)
    if step.get("stop", {}).get("reason") == "stop_timeout" and case["stop"][0].get("graceful_ms") is not None:
        wanted["stop"] = {**step["stop"], "has_deadline": True}  # §9.4 rule 3
    return wanted


@pytest.mark.parametrize("mode", SourceContract, ids=lambda mode: mode.value)
@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_a_dispatch_decides_as_in_the_original(case: dict[str, Any], mode: SourceContract) -> None:
    steps = case.get(mode.value, case["abort"])
    assert played(case, mode) == [instead(case, mode, number, step) for number, step in enumerate(steps)]


SOURCE, SINK = stage_id(1), stage_id(2)
LINE = topology_of([[1, "F", "src"], [2, "S", "snk"]], [[1, 2]])
CHAIN = topology_of([[1, "F", "src"], [2, "T", "tr"], [3, "S", "snk"]], [[1, 2], [2, 3]])
TWO_SOURCES = topology_of([[1, "F", "a"], [2, "F", "b"], [3, "S", "snk"]], [[1, 3], [2, 3]])
MARK = said.PipelineLifecycle(said.AllStagesCompleted())
CAUSE = SeqDivergence(3, 1)


def evidence_of(topology: Topology, mode: SourceContract = SourceContract.ABORT, completed: bool = True) -> Evidence:
    evidence = Evidence(topology, mode)
    for stage in topology.stages if completed else ():
        evidence = evidence.with_completed(stage.id)
    return evidence


def supervisor(state: State, evidence: Evidence, **more: Any) -> Supervisor:
    return Supervisor(state, PipelineContext(evidence=evidence, **more))


def status(upstream: int, reader: int, passed: bool, advertised: int | None = None, **more: Any) -> ContractStatus:
    return ContractStatus(
        upstream=stage_id(upstream),
        reader=stage_id(reader),
        passed=passed,
        advertised_writer_seq=advertised,
        **more,
    )


def stage_says(number: int, fact: said.StageFact) -> said.StageLifecycle:
    return said.StageLifecycle(stage_id(number), fact)


@pytest.mark.parametrize("mode", SourceContract)
def test_c60_7_gating(mode: SourceContract) -> None:
    assert is_gating(is_source=False, mode=mode)
    assert is_gating(is_source=True, mode=mode) is (mode is SourceContract.ABORT)


@pytest.mark.parametrize("text", ["WARN", "warn", "abort", "", "x", None])
def test_c60_8_the_strictness_that_a_variable_gives(text: str | None) -> None:
    warns = text in ("WARN", "warn")
    assert SourceContract.of_variable(text) is (SourceContract.WARN if warns else SourceContract.ABORT)


@pytest.mark.parametrize("text", ["manual", "MANUAL", "auto", "", "x", None])
def test_c60_9_the_startup_mode_that_a_variable_gives(text: str | None) -> None:
    waits = text in ("manual", "MANUAL")
    assert StartupMode.of_variable(text) is (StartupMode.MANUAL if waits else StartupMode.AUTO)


def test_c60_10_missing_evidence_blocks() -> None:
    evidence = evidence_of(CHAIN).with_status((stage_id(1), stage_id(2)), EdgeStatus(True))
    assert not evidence.is_complete
    assert evidence.with_status((stage_id(2), stage_id(3)), EdgeStatus(True)).is_complete


def test_c60_11_an_edge_that_does_not_gate_needs_none() -> None:
    assert evidence_of(LINE, SourceContract.WARN).is_complete
    assert not evidence_of(LINE, SourceContract.ABORT).is_complete


@pytest.mark.parametrize("state", [Running(), Draining()], ids=name_of)
@pytest.mark.parametrize("cause", [CAUSE, None])
def test_c60_12_13_a_recorded_failure_aborts(state: State, cause: ViolationCause | None) -> None:
    evidence = evidence_of(LINE).with_status((SOURCE, SINK), EdgeStatus(False, cause))
    directive = supervisor(state, evidence).hear(MARK)
    assert directive == Transit(Abort(cause or OtherCause("contract_failed"), SOURCE))


def test_c60_14_but_not_on_the_edge_of_a_source_in_warn_mode() -> None:
    evidence = evidence_of(LINE, SourceContract.WARN).with_status((SOURCE, SINK), EdgeStatus(False, CAUSE))
    assert supervisor(Running(), evidence).hear(MARK) == Transit(AllStagesCompleted())


def test_c60_15_another_edge_aborts_in_warn_mode_too() -> None:
    evidence = evidence_of(CHAIN, SourceContract.WARN, completed=False)
    directive = supervisor(Running(), evidence).hear(status(2, 3, False, reason=CAUSE))
    assert directive == Transit(Abort(CAUSE, stage_id(2)))


def test_c60_16_the_last_source_ends_them_all() -> None:
    running = supervisor(Running(), evidence_of(TWO_SOURCES, completed=False))
    assert running.hear(status(1, 3, True, 3)) == Continue()
    assert running.hear(status(2, 3, True, 0)) == Transit(Shutdown())


def test_c60_17_a_pass_without_the_total_ends_none() -> None:
    running = supervisor(Running(), evidence_of(LINE, completed=False))
    assert running.hear(status(1, 2, True)) == Continue()
    assert running.context.settled == frozenset()


def test_c60_18_a_failed_last_source_ends_them_all_in_warn_mode() -> None:
    running = supervisor(Running(), evidence_of(LINE, SourceContract.WARN, completed=False))
    assert running.hear(status(1, 2, False, 3, reason=CAUSE)) == Transit(Shutdown())


def test_c60_19_the_barrier() -> None:
    strict = Evidence(LINE).with_completed(SOURCE).barrier()
    assert (strict.pending_stages, strict.missing_contracts) == ((SINK,), ((SOURCE, SINK),))
    assert (strict.completed, strict.total, strict.satisfied_contracts, strict.total_contracts) == (1, 2, 0, 1)
    lenient = Evidence(LINE, SourceContract.WARN).barrier()
    assert (lenient.missing_contracts, lenient.satisfied_contracts, lenient.total_contracts) == ((), 0, 1)
    assert (strict.gating_contracts, lenient.gating_contracts) == (1, 0)


def test_c60_20_the_marker_does_not_stand_for_evidence() -> None:
    draining = supervisor(Draining(), evidence_of(LINE))
    assert draining.hear(MARK) == Continue()
    assert draining.hear(status(1, 2, True, 3)) == Continue()
    decision = draining.dispatch()
    assert (decision.directive, decision.facts) == (Transit(AllStagesCompleted()), ())


def test_while_running_the_marker_without_evidence_ends_the_sources() -> None:
    assert supervisor(Running(), evidence_of(LINE)).hear(MARK) == Transit(Shutdown())


def test_of_several_failed_edges_the_first_in_topology_order_aborts() -> None:
    evidence = evidence_of(TWO_SOURCES)
    for number in (2, 1):
        evidence = evidence.with_status((stage_id(number), stage_id(3)), EdgeStatus(False, OtherCause(f"{number}")))
    assert supervisor(Draining(), evidence).hear(MARK) == Transit(Abort(OtherCause("1"), stage_id(1)))


def test_a_later_pass_leaves_the_first_failure_for_the_report() -> None:
    draining = supervisor(Draining(), evidence_of(LINE, SourceContract.WARN))
    for each in (status(1, 2, False, 3, reason=CAUSE), status(1, 2, False, 4), status(1, 2, True, 4)):
        draining.hear(each)
    assert draining.context.evidence.edges[SOURCE, SINK].passed
    assert draining.context.evidence.first_failures[SOURCE, SINK].reason == CAUSE


def test_c60_40_a_completion_counts_once() -> None:
    first = Evidence(LINE).with_completed(SOURCE)
    both = first.with_completed(SINK)
    assert (first.has_all_stages, both.has_all_stages) == (False, True)
    assert both.with_completed(SINK) is both
    assert both.completed == (SOURCE, SINK)


def test_completions_of_other_pipelines_do_not_count() -> None:
    evidence = Evidence(LINE).with_completed(SOURCE).with_completed(stage_id(9))
    assert evidence.completed == (SOURCE,)


LIVING: list[State] = [
    Created(),
    Materializing(),
    Materialized(ready=False),
    Materialized(ready=True),
    Running(),
    SourceCompleted(),
    Draining(),
    AbortRequested(CAUSE, None),
]
ENDED: list[State] = [Drained(), Failed("old", None)]


@pytest.mark.parametrize("state", LIVING, ids=str)
def test_c60_43_a_closed_channel_is_an_error(state: State) -> None:
    assert when_closed(state) == Error("External control channel closed")


@pytest.mark.parametrize("state", ENDED, ids=str)
def test_c60_43_but_not_after_the_end(state: State) -> None:
    assert when_closed(state) is None


def test_when_the_supervisor_looks_at_its_requests() -> None:
    modes = {name_of(state): external_mode(state) for state in LIVING + ENDED}
    assert modes.pop("Created") is ExternalMode.BLOCK
    ignoring = [name for name, mode in modes.items() if mode is ExternalMode.IGNORE]
    assert ignoring == ["Materializing", "Drained", "Failed"]
    assert {mode for name, mode in modes.items() if name not in ignoring} == {ExternalMode.POLL}


def test_when_a_stage_looks_at_its_requests() -> None:
    waiting = [stages.Created(), stages.Initialized(), stages.WaitingForGun()]
    assert {stage_external_mode(state, is_source=True) for state in waiting} == {ExternalMode.BLOCK}
    assert stage_external_mode(stages.Created(), is_source=False) is ExternalMode.BLOCK
    for is_source, state in ((True, stages.Running()), (False, stages.Initialized()), (False, stages.Draining())):
        assert stage_external_mode(state, is_source=is_source) is ExternalMode.POLL
    assert stage_when_closed(stages.Drained()) == stages.Error(CHANNEL_CLOSED)
    assert stage_when_closed(stages.Failed("old")) is None


def test_the_answer_to_a_request_to_run() -> None:
    outcomes = [run_outcome(state) for state in LIVING + ENDED]
    assert outcomes[:4] == [RunOutcome.NOT_READY] * 3 + [RunOutcome.STARTED]
    assert outcomes[4:8] == [RunOutcome.ALREADY_RUNNING] * 4
    assert outcomes[8:] == [RunOutcome.FINISHED] * 2


@pytest.mark.parametrize("supervised", [0, 1, 3])
def test_c60_50_a_stage_without_a_supervisor(supervised: int) -> None:
    directive = dispatch(
        Materializing(), PipelineContext(evidence=Evidence(LINE)), Sight(supervised=supervised), NOW
    ).directive
    assert directive == Transit(Error(f"Stage count mismatch: {supervised} supervisors vs 2 topology stages"))


def test_all_stages_with_supervisors() -> None:
    decision = dispatch(Materializing(), PipelineContext(evidence=Evidence(LINE)), Sight(supervised=2), NOW)
    assert decision.directive == Transit(MaterializationComplete())


def test_c60_51_a_pipeline_of_sources_alone() -> None:
    alone = supervisor(Materialized(ready=False), Evidence(topology_of([[1, "F", "src"]], [])))
    directive = alone.dispatch().directive
    assert isinstance(directive, Transit)
    assert isinstance(directive.event, Error)
    assert "source-only" in directive.event.message


@pytest.mark.parametrize("ready", [False, True])
@pytest.mark.parametrize("fact", [said.StageFailed("boom"), said.StageCancelled("boom")], ids=name_of)
def test_c60_52_a_stage_that_ends_before_the_run(ready: bool, fact: said.StageFact) -> None:
    how = "failed" if isinstance(fact, said.StageFailed) else "cancelled"
    when = "while ready for run" if ready else "before readiness"
    directive = supervisor(Materialized(ready=ready), Evidence(LINE)).hear(stage_says(2, fact))
    assert directive == Transit(Error(f"Stage 'snk' {how} {when}: boom"))


def test_readiness_comes_from_facts_and_from_handles() -> None:
    heard = supervisor(Materialized(ready=False), Evidence(CHAIN))
    assert heard.hear(stage_says(2, said.StageRunning())) == Continue()
    assert heard.hear(stage_says(3, said.StageRunning())) == Transit(StageReadinessComplete())
    asked = supervisor(Materialized(ready=False), Evidence(CHAIN))
    assert asked.dispatch(ready=frozenset({stage_id(2)})).directive == Continue(10)
    assert asked.dispatch(ready=frozenset({stage_id(3)})).directive == Transit(StageReadinessComplete())


def test_c60_45_46_a_ready_pipeline_runs_or_waits() -> None:
    assert supervisor(Materialized(ready=True), Evidence(LINE)).dispatch().directive == Transit(Run())
    waiting = supervisor(Materialized(ready=True), Evidence(LINE), startup=StartupMode.MANUAL)
    assert [waiting.dispatch(NOW + ms * MS).directive for ms in (0, 50)] == [Continue(100)] * 2


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (Materialized(ready=False), "System journal error: torn"),
        (Running(), "System journal error: torn"),
        (Draining(), "System journal error during drain: torn"),
    ],
    ids=str,
)
def test_a_journal_that_cannot_be_read(state: State, text: str) -> None:
    decision = dispatch(state, PipelineContext(evidence=Evidence(LINE)), Sight(polled=Unreadable("torn")), NOW)
    assert decision.directive == Transit(Error(text))


def test_c60_55_idle_waits_double_up_to_their_cap() -> None:
    backoff = IdleBackoff(IDLE_CAP_MS)
    assert [backoff.next_ms() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    backoff.reset()
    assert backoff.next_ms() == 1


def test_c60_56_a_long_idle_drain_warns_once_and_goes_on() -> None:
    draining = supervisor(Draining(), evidence_of(LINE), barrier_log=Throttle(10**18, NOW))
    warned = [number for number in range(1, 501) if draining.dispatch().log]
    assert warned == [100]
    assert draining.context.idle_drains == 500
    assert draining.dispatch().directive == Continue(10)


def test_c60_57_lines_are_logged_once_an_interval() -> None:
    draining = supervisor(Draining(), evidence_of(LINE))
    logged = [ms for ms in (0, 500, 990, 1000) if draining.dispatch(NOW + ms * MS).log]
    assert logged == [0, 1000]
    waiting = supervisor(Materialized(ready=True), Evidence(LINE), startup=StartupMode.MANUAL)
    logged = [ms for ms in (0, 2500, 4990, 5000) if waiting.dispatch(NOW + ms * MS).log]
    assert logged == [0, 5000]


def test_the_barrier_line_names_what_is_missing() -> None:
    [line] = supervisor(Draining(), Evidence(LINE).with_completed(SOURCE)).dispatch().log
    assert line == (
        "draining: 1 of 2 stages completed, waiting for snk; 0 of 1 gating contracts passed, missing src → snk"
    )


@pytest.mark.parametrize("limit_ms", [None, 30])
def test_a_drain_without_evidence_ends_after_its_limit(limit_ms: int | None) -> None:
    draining = supervisor(Draining(), evidence_of(LINE), drain_timeout_ms=limit_ms)
    directives = [draining.dispatch(NOW + ms * MS).directive for ms in (0, 29, 30)]
    last = Continue(10) if limit_ms is None else Transit(Error("drain_evidence_missing"))
    assert directives == [Continue(10), Continue(10), last]


def test_a_drain_limit_does_not_count_while_stages_work() -> None:
    draining = supervisor(Draining(), evidence_of(LINE, completed=False), drain_timeout_ms=30)
    assert [draining.dispatch(NOW + ms * MS).directive for ms in (0, 60)] == [Continue(10)] * 2


def metrics(processed: int, errors: int = 0) -> StageMetrics:
    return StageMetrics(
        events_processed_total=processed,
        errors_total=errors,
        errors_by_kind={},
        in_flight=0,
        recent_p50_ms=0,
        recent_p90_ms=0,
        recent_p95_ms=0,
        recent_p99_ms=0,
        recent_p999_ms=0,
        event_loops_total=0,
        event_loops_with_work_total=0,
    )


def test_c60_60_the_tail_brings_the_last_metrics() -> None:
    tail = (
        recorded(stage_says(1, said.StageCompleted(metrics(3))), 8),
        recorded(stage_says(2, said.StageDraining(metrics(9))), 9),
        recorded(stage_says(3, said.StageDraining(metrics(4))), 10),
    )
    known = {stage_id(1): metrics(1), stage_id(2): metrics(2)}
    context = PipelineContext(evidence=Evidence(CHAIN), metrics=known)
    assert last_metrics(context, tail) == context
    reading = context.after_reading(recorded(MARK, 7))
    reconciled = last_metrics(reading, tail)
    processed = {number_of(stage): each.events_processed_total for stage, each in reconciled.metrics.items()}
    assert processed == {1: 3, 2: 2, 3: 4}
    assert (reconciled.position, reconciled.last_event) == (10, tail[-1].event.id)


def test_c60_61_the_metrics_of_a_flow() -> None:
    known = {stage_id(1): metrics(3), stage_id(2): metrics(3, errors=1), stage_id(3): metrics(2)}
    context = PipelineContext(evidence=Evidence(CHAIN), metrics=known)
    assert flow_metrics(context) == FlowMetrics(events_in_total=3, events_out_total=2, errors_total=1)


def ended(state: State, **more: Any) -> tuple[said.PipelineFact, ...]:
    decision = dispatch(state, PipelineContext(evidence=Evidence(LINE), **more), Sight(), NOW)
    assert decision.directive == Terminate()
    return decision.facts


NOTHING = FlowMetrics(0, 0, 0)


def test_c60_62_the_terminal_fact() -> None:
    started_ns = NOW - 7_900_000
    stopped = StopIntent().apply(Graceful(10), None, NOW).intent
    assert ended(Drained(), started_ns=started_ns) == (said.PipelineCompleted(7, NOTHING),)
    assert ended(Drained()) == ()
    assert ended(Drained(), started_ns=started_ns, stop=stopped) == (
        said.PipelineCancelled("user_stop", 7, NOTHING, OtherCause("user_stop")),
    )
    assert ended(Failed("x", None), started_ns=started_ns) == (said.PipelineFailed("x", 7, NOTHING),)
    assert ended(Failed("user_stop", OtherCause("user_stop")), stop=stopped) == (
        said.PipelineCancelled("user_stop", 0, NOTHING, OtherCause("user_stop")),
    )


def test_c60_63_completions_that_repeat_are_marked_once() -> None:
    context = PipelineContext(evidence=Evidence(LINE))
    marks: list[said.AllStagesCompleted | None] = []
    for stage in (SOURCE, SINK, SINK, SOURCE):
        context, mark = context.with_completed(stage)
        marks.append(mark)
    assert marks == [None, said.AllStagesCompleted(), None, None]


def test_stages_speak_while_the_pipeline_runs() -> None:
    running = supervisor(Running(), Evidence(LINE))
    assert running.hear(stage_says(1, said.StageDraining(metrics(4)))) == Continue()
    assert running.hear(stage_says(1, said.StageCompleted(metrics(5)))) == Transit(StageCompleted(SOURCE))
    assert running.context.metrics == {SOURCE: metrics(5)}


def test_a_stopped_pipeline_does_not_mind_cancelled_stages() -> None:
    stopped = StopIntent().apply(Graceful(1000), None, NOW).intent
    draining = supervisor(Draining(), Evidence(LINE), stop=stopped)
    assert draining.hear(stage_says(2, said.StageCancelled("user_stop"))) == Continue()


def test_a_source_that_has_ended_begins_the_drain() -> None:
    assert supervisor(SourceCompleted(), Evidence(LINE)).dispatch().directive == Transit(BeginDrain())


def test_a_passed_deadline_comes_before_what_is_to_be_read() -> None:
    stopped = StopIntent().apply(Graceful(20), None, NOW).intent
    draining = supervisor(Draining(), Evidence(LINE), stop=stopped)
    draining.append(stage_says(2, said.StageCompleted()))
    late = NOW + 20 * MS
    assert draining.dispatch(late).directive == Transit(StopRequested(Cancel(), "stop_timeout", late))
    assert draining.context.position == 0
    step = lifecycle.LIFECYCLE.step(Draining(), StopRequested(Cancel(), "stop_timeout", late), draining.context.stop)
    assert "WritePipelineStopRequested" not in map(name_of, step.actions)


def test_an_abort_says_why_and_where() -> None:
    decision = supervisor(AbortRequested(CAUSE, SOURCE), Evidence(LINE)).dispatch()
    cause = '{"violation_type":"seq_divergence","details":{"advertised":3,"reader":1}}'
    assert decision.directive == Transit(Error(f"Pipeline abort requested: {cause} (upstream=src)"))


def test_h60_12_a_stage_that_is_cancelled_while_draining_fails_the_pipeline() -> None:
    draining = supervisor(Draining(), evidence_of(LINE, completed=False))
    assert draining.hear(stage_says(1, said.StageDraining(metrics(4)))) == Continue()
    cancelled = draining.hear(stage_says(2, said.StageCancelled("lost", metrics(5))))
    assert cancelled == Transit(Error("Stage 'snk' cancelled: lost"))
    assert draining.context.metrics == {SOURCE: metrics(4), SINK: metrics(5)}

"""The pipeline's state machine against the original's, every state with every event after every stop history.

Also the lines of spec 60 §27 on stop intents and the FSM: C-1 to C-6, C-22 to C-41. ``INSTEAD``, ``DRAINS_METRICS`` and
``KEEPS_DEADLINE`` say where the product does otherwise, by which rule.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec import Struct

from ergo_cli.core import wire
from ergo_cli.programs.pipeline import actions as do
from ergo_cli.programs.pipeline import lifecycle
from ergo_cli.programs.pipeline.causes import OtherCause, SeqDivergence, ViolationCause
from ergo_cli.programs.pipeline.ids import StageId
from ergo_cli.programs.pipeline.lifecycle import (
    LIFECYCLE,
    TABLE,
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
    Materialize,
    Materialized,
    Materializing,
    Move,
    Run,
    Running,
    Shutdown,
    SourceCompleted,
    StageCompleted,
    StageReadinessComplete,
    State,
    StopRequested,
    is_terminal,
)
from ergo_cli.programs.pipeline.state_machine import (
    AnyState,
    EntryFailed,
    Row,
    StateMachine,
    Step,
    Timeout,
    UnhandledEvent,
    name_of,
    row,
)
from ergo_cli.programs.pipeline.stop_intent import Applied, Cancel, Graceful, Ignored, StopIntent, StopMode

NOW = 7_000_000_000
FSM = json.loads((Path(__file__).parent / "data/spec60/fsm.json").read_bytes())
STAGE = StageId("01JG0000000000000000000003")

HISTORIES: dict[str, list[tuple[StopMode, str | None]]] = {
    "none": [],
    "cancel": [(Cancel(), None)],
    "cancel_timeout": [(Cancel(), "stop_timeout")],
    "graceful": [(Graceful(5000), None)],
    "graceful_named": [(Graceful(5000), "first_reason")],
}

SAME = "the same state"
MESSAGE = "failed with the message"
INSTEAD: dict[tuple[str, str], tuple[str, str, list[str]]] = {
    ("Created", "Run"): ("H-8", SAME, []),
    ("Created", "Error"): ("H-9", MESSAGE, ["Cleanup"]),
    ("Materializing", "Run"): ("H-8", SAME, []),
    ("SourceCompleted", "Error"): ("H-9", MESSAGE, ["DrainMetrics", "Cleanup"]),
    ("Running", "Run"): ("§28 on §9.5", SAME, []),
    ("SourceCompleted", "Run"): ("§28 on §9.5", SAME, []),
    ("Draining", "Run"): ("§28 on §9.5", SAME, []),
    ("AbortRequested", "Run"): ("§28 on §9.5", SAME, []),
}
"""Rows that the product adds: the rule, the next state and the actions."""

DRAINS_METRICS = "§9.5, first note: a stop that ends in Failed drains the metrics before it cleans up"
KEEPS_DEADLINE = "§9.4 rule 3: a cancel for stop_timeout keeps the deadline of the graceful stop before"


def mode_of(value: Any) -> StopMode:
    return Cancel() if value == "cancel" else Graceful(value["graceful_ms"])


def mode_text(mode: StopMode | None) -> Any:
    match mode:
        case Graceful(timeout_ms):
            return {"graceful_ms": timeout_ms}
        case Cancel():
            return "cancel"
        case None:
            return None


def cause_of(value: Any) -> ViolationCause:
    return wire.read(value, ViolationCause)


def cause_text(cause: ViolationCause | None) -> Any:
    return None if cause is None else json.loads(wire.write(cause, ViolationCause))


def state_of(value: dict[str, Any]) -> State:
    match value:
        case {"state": "Materialized"}:
            return Materialized(ready=True)
        case {"state": "AbortRequested"}:
            return AbortRequested(cause_of(value["reason"]), stage_of(value["upstream"]))
        case {"state": "Failed"}:
            return Failed(value["reason"], value["failure_cause"] and cause_of(value["failure_cause"]))
        case _:
            return getattr(lifecycle, value["state"])()


def state_text(state: State) -> dict[str, Any]:
    match state:
        case AbortRequested(reason, upstream):
            return {"state": "AbortRequested", "reason": cause_text(reason), "upstream": upstream}
        case Failed(reason, cause):
            return {"state": "Failed", "reason": reason, "failure_cause": cause_text(cause)}
        case _:
            return {"state": name_of(state)}


def stage_of(value: str | None) -> StageId | None:
    return None if value is None else StageId(value)


def event_of(value: dict[str, Any]) -> Event:
    match value:
        case {"event": "StopRequested"}:
            return StopRequested(mode_of(value["mode"]), value["reason"], NOW)
        case {"event": "Abort"}:
            return Abort(cause_of(value["reason"]), stage_of(value["upstream"]))
        case {"event": "Error"}:
            return Error(value["message"])
        case {"event": "StageCompleted"}:
            return lifecycle.StageCompleted(STAGE)
        case _:
            return getattr(lifecycle, value["event"])()


def action_text(action: do.Action) -> dict[str, Any]:
    match action:
        case do.WritePipelineStopRequested(mode):
            return {"action": name_of(action), "mode": mode_text(mode)}
        case do.WritePipelineAbort(reason, upstream):
            return {"action": name_of(action), "reason": cause_text(reason), "upstream": upstream}
        case _:
            return {"action": name_of(action)}


def intent_text(intent: StopIntent) -> dict[str, Any]:
    return {
        "has_deadline": intent.deadline_ns is not None,
        "mode": mode_text(intent.mode),
        "reason": intent.reason,
        "reason_label": intent.label,
        "requested": intent.requested,
    }


def after(history: str) -> StopIntent:
    intent = StopIntent()
    for mode, reason in HISTORIES[history]:
        intent = intent.apply(mode, reason, NOW).intent
    return intent


def outcome(state: State, event: Event, intent: StopIntent) -> dict[str, Any]:
    try:
        step = LIFECYCLE.step(state, event, intent)
    except UnhandledEvent as error:
        kept = {"result": "error", "error": str(error), "next": state_text(state)}
        return {**kept, "intent_after": intent_text(intent)}
    moved = {"result": "ok", "next": state_text(step.state), "actions": [action_text(each) for each in step.actions]}
    return {**moved, "intent_after": intent_text(step.context)}


def expected(case: dict[str, Any], history: str) -> dict[str, Any]:
    key = (case["state"]["state"], case["event"]["event"])
    if key in INSTEAD:
        _rule, state, actions = INSTEAD[key]
        failed = {"state": "Failed", "reason": case["event"].get("message"), "failure_cause": None}
        return {
            "result": "ok",
            "next": case["state"] if state == SAME else failed,
            "actions": [{"action": name} for name in actions],
            "intent_after": intent_text(after(history)),
        }
    wanted = {part: case[part] for part in ("result", "next", "actions", "error", "intent_after") if part in case}
    if key[1] == "StopRequested" and wanted["next"]["state"] == "Failed" != key[0]:  # DRAINS_METRICS
        wanted["actions"] = [*wanted["actions"][:-1], {"action": "DrainMetrics"}, wanted["actions"][-1]]
    if key[1] == "Abort" and "actions" in wanted:  # the original repeats reason and upstream in AbortTeardown
        wanted["actions"] = [wanted["actions"][0], {"action": "AbortTeardown"}]
    cancels = wanted["intent_after"]["mode"] == "cancel" and wanted["intent_after"]["reason"] == "stop_timeout"
    if cancels and history.startswith("graceful"):  # KEEPS_DEADLINE
        wanted["intent_after"] = {**wanted["intent_after"], "has_deadline": True}
    return wanted


ROWS = [
    pytest.param(case, history, id=f"{name}-{number}-{history}")
    for number, case in enumerate(FSM["pipeline"])
    for name in [f"{case['state']['state']}-{case['event']['event']}"]
    for history in case["prior_stop"]
]


@pytest.mark.parametrize(("case", "history"), ROWS)
def test_a_pipeline_moves_as_in_the_original(case: dict[str, Any], history: str) -> None:
    assert outcome(state_of(case["state"]), event_of(case["event"]), after(history)) == expected(case, history)


UNREADY = [each for each in ROWS if each.values[0]["state"] == {"state": "Materialized"}]  # type: ignore[index]


@pytest.mark.parametrize(("case", "history"), UNREADY)
def test_it_moves_so_before_readiness_too_but_does_not_run(case: dict[str, Any], history: str) -> None:
    event = event_of(case["event"])
    got = outcome(Materialized(ready=False), event, after(history))
    if isinstance(event, Run):  # H-10
        assert got == {**outcome(Materialized(ready=True), event, after(history)), "next": case["state"], "actions": []}
    else:
        assert got == expected(case, history)


@pytest.mark.parametrize("sequence", FSM["stop_intent"], ids=str)
def test_a_stop_intent_grows_as_in_the_original(sequence: list[dict[str, Any]]) -> None:
    intent = StopIntent()
    kept_deadline = False
    for number, step in enumerate(sequence, 1):
        before = intent
        outcome = intent.apply(mode_of(step["request"]["mode"]), step["request"]["reason"], NOW + number)
        intent = outcome.intent
        wanted, changed = step["intent"], step["deadline_changed"]
        cancels = intent.mode == Cancel() and intent.reason == "stop_timeout"
        if cancels and before.deadline_ns is not None:  # KEEPS_DEADLINE
            wanted, changed, kept_deadline = {**wanted, "has_deadline": True}, False, True
        assert intent_text(intent) == wanted
        assert (intent.deadline_ns != before.deadline_ns) == (changed and not kept_deadline)
        if step["outcome"] == "ignored_already_cancelled":
            assert isinstance(outcome, Ignored)
        else:
            applied = step["outcome"]["applied"]
            assert isinstance(outcome, Applied)
            assert (mode_text(intent.mode), intent.label) == (applied["mode"], applied["reason_label"])


def applied(*requests: tuple[StopMode, str | None]) -> StopIntent:
    intent = StopIntent()
    for mode, reason in requests:
        intent = intent.apply(mode, reason, NOW).intent
    return intent


def test_c60_1_a_cancel_without_reason() -> None:
    assert applied((Cancel(), None)) == StopIntent(requested=True, mode=Cancel(), reason="user_stop")
    assert applied((Cancel(), None)).label == "user_stop"


def test_c60_2_a_graceful_stop_has_a_deadline() -> None:
    assert applied((Graceful(3000), None)) == StopIntent(True, Graceful(3000), "user_stop", NOW + 3_000_000_000)


def test_c60_3_a_cancel_clears_the_deadline() -> None:
    intent = applied((Graceful(5000), None), (Cancel(), None))
    assert (intent.mode, intent.deadline_ns) == (Cancel(), None)


def test_c60_4_a_graceful_stop_after_a_cancel_is_ignored() -> None:
    outcome = applied((Cancel(), None)).apply(Graceful(1000), None, NOW)
    assert outcome == Ignored(StopIntent(requested=True, mode=Cancel(), reason="user_stop"))


def test_c60_5_a_time_out_replaces_the_reason_and_keeps_the_deadline() -> None:
    intent = applied((Graceful(5000), "first_reason"), (Cancel(), "stop_timeout"))
    assert intent == StopIntent(True, Cancel(), "stop_timeout", NOW + 5_000_000_000)


def test_c60_6_another_reason_does_not() -> None:
    assert applied((Graceful(5000), "a"), (Cancel(), "b")).reason == "a"


def moved(state: State, event: Event, intent: StopIntent = StopIntent()) -> Move:
    return LIFECYCLE.step(state, event, intent)


ABORTED = AbortRequested(SeqDivergence(3, 1), STAGE)
ONE_OF_EACH: list[State] = [
    Created(),
    Materializing(),
    Materialized(ready=False),
    Materialized(ready=True),
    Running(),
    SourceCompleted(),
    Draining(),
    Drained(),
    ABORTED,
    Failed("old", None),
]
STARTS_NOTHING: list[State] = [Created(), Materializing(), Materialized(ready=False)]
RUNS_ALREADY: list[State] = [Running(), SourceCompleted(), Draining(), ABORTED]
EVENTS: list[Event] = [
    Materialize(),
    MaterializationComplete(),
    StageReadinessComplete(),
    Run(),
    StopRequested(Cancel(), None, NOW),
    StopRequested(Graceful(5), None, NOW),
    Shutdown(),
    BeginDrain(),
    Abort(SeqDivergence(3, 1), STAGE),
    StageCompleted(STAGE),
    AllStagesCompleted(),
    Error("x"),
]
END = (do.DrainMetrics(), do.Cleanup())
CANCELLED = (do.WritePipelineStopRequested(Cancel()), *END)


def moved_or_refused(state: State, event: Event) -> Move | UnhandledEvent:
    try:
        return moved(state, event)
    except UnhandledEvent as refused:
        return refused


def test_every_event_is_tried() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))


def test_h60_9_an_error_fails_a_pipeline_in_every_state() -> None:
    ends = {name_of(state): moved_or_refused(state, Error("x")) for state in ONE_OF_EACH if not is_terminal(state)}
    for name, step in ends.items():
        assert isinstance(step, Step), name
        assert isinstance(step.state, Failed)
        assert step.state.reason == "x"
        assert do.Cleanup() in step.actions


def test_c60_22_materialize() -> None:
    assert moved(Created(), Materialize()) == Step(Materializing(), StopIntent(), (do.CreateStages(),))


def test_c60_23_materialization_complete() -> None:
    step = moved(Materializing(), MaterializationComplete())
    assert step.state == Materialized(ready=False)
    assert step.actions == (do.StartCompletionSubscription(), do.StartMetricsAggregator(), do.NotifyStagesStart())


def test_c60_24_readiness() -> None:
    step = moved(Materialized(ready=False), StageReadinessComplete())
    assert (step.state, step.actions) == (Materialized(ready=True), (do.WritePipelineReadyForRun(),))
    with pytest.raises(UnhandledEvent, match="'StageReadinessComplete' in state 'Materialized'"):
        moved(Materialized(ready=True), StageReadinessComplete())


def test_c60_25_sources_start_in_one_place() -> None:
    assert moved(Materialized(ready=True), Run()) == Step(Running(), StopIntent(), (do.NotifySourceStart(),))
    starting = [
        (state, event)
        for state in ONE_OF_EACH
        for event in EVENTS
        if do.NotifySourceStart() in getattr(moved_or_refused(state, event), "actions", ())
    ]
    assert starting == [(Materialized(ready=True), Run())]


@pytest.mark.parametrize("state", STARTS_NOTHING, ids=str)
def test_c60_26_an_early_run_is_dropped(state: State) -> None:
    assert moved(state, Run()) == Step(state, StopIntent())


@pytest.mark.parametrize("state", RUNS_ALREADY, ids=str)
def test_c60_27_a_second_run_changes_nothing(state: State) -> None:
    assert moved(state, Run()) == Step(state, StopIntent())


def test_c60_28_an_error_while_ready() -> None:
    step = moved(Materialized(ready=True), Error("readiness fault"))
    assert step == Step(Failed("readiness fault", None), StopIntent(), (do.Cleanup(),))


def test_c60_29_a_stop_while_ready() -> None:
    step = moved(Materialized(ready=True), StopRequested(Cancel(), "operator_stop", NOW))
    assert (step.state, step.actions) == (Failed("operator_stop", OtherCause("operator_stop")), CANCELLED)


def test_c60_30_a_graceful_stop_and_a_second_one() -> None:
    first = moved(Running(), StopRequested(Graceful(3000), None, NOW))
    marker = do.WritePipelineStopRequested(Graceful(3000))
    assert (first.state, first.actions) == (Draining(), (marker, do.StopSources(), do.BeginDrain()))
    second = moved(Draining(), StopRequested(Graceful(3000), None, NOW), first.context)
    assert (second.state, second.actions) == (Draining(), (do.StopSources(),))


def test_c60_31_a_cancel_after_a_graceful_stop() -> None:
    draining = moved(Running(), StopRequested(Graceful(3000), None, NOW))
    step = moved(draining.state, StopRequested(Cancel(), None, NOW), draining.context)
    assert (step.state, step.actions) == (Failed("user_stop", OtherCause("user_stop")), CANCELLED)


def test_c60_32_all_stages_completed() -> None:
    assert moved(Running(), AllStagesCompleted()) == Step(Drained(), StopIntent(), END)


def test_c60_33_an_abort() -> None:
    step = moved(Running(), Abort(SeqDivergence(3, 1), STAGE))
    assert (step.state, step.actions) == (
        ABORTED,
        (do.WritePipelineAbort(SeqDivergence(3, 1), STAGE), do.AbortTeardown()),
    )
    failed = moved(step.state, Error("Pipeline abort requested"))
    assert failed == Step(Failed("Pipeline abort requested", SeqDivergence(3, 1)), StopIntent(), END)


def test_c60_34_what_an_aborted_pipeline_takes() -> None:
    step = moved(ABORTED, Shutdown())
    assert (step.state, step.actions) == (AbortRequested(OtherCause("shutdown_requested"), None), (do.Cleanup(),))
    assert moved(ABORTED, StopRequested(Cancel(), None, NOW)) == Step(ABORTED, StopIntent())


@pytest.mark.parametrize("state", [Drained(), Failed("old", None)], ids=str)
def test_c60_35_an_ended_pipeline_ignores_stops_and_refuses_the_rest(state: State) -> None:
    assert moved(state, StopRequested(Cancel(), None, NOW)) == Step(state, StopIntent())
    with pytest.raises(UnhandledEvent, match=f"^Unhandled event 'Run' in state '{name_of(state)}'$"):
        moved(state, Run())


def test_c60_36_a_time_out_while_draining() -> None:
    step = moved(Draining(), Error("stop_timeout"))
    assert step.state == Failed("stop_timeout", OtherCause("stop_timeout"))
    assert (step.context.mode, step.context.reason) == (Cancel(), "stop_timeout")


def test_c60_37_an_error_while_running_is_no_stop() -> None:
    assert moved(Running(), Error("x")) == Step(Failed("x", None), StopIntent(), END)


def test_c60_38_terminal_states() -> None:
    assert [state for state in ONE_OF_EACH if is_terminal(state)] == [Drained(), Failed("old", None)]


def test_c60_39_the_table_stands_in_one_place() -> None:
    package = Path(lifecycle.__file__).parent
    tables = [
        path.name
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "row"
    ]
    assert set(tables) == {"lifecycle.py", "stage_machines.py"}
    assert tables.count("lifecycle.py") == len(TABLE)


class On(Struct, frozen=True):
    pass


class Off(Struct, frozen=True):
    pass


class Press(Struct, frozen=True):
    pass


class Hold(Struct, frozen=True):
    pass


Light = On | Off
Touch = Press | Hold


def test_c60_41_actions_come_in_the_order_exit_entry_transition() -> None:
    lamp = StateMachine[Light, Touch, int, str](
        [
            row(Off, Press, lambda _state, _event, count: Step(On(), count + 1, ("moved",))),
            row(On, Press, lambda state, _event, count: Step(state, count + 1, ("again",))),
        ],
        on_exit={Off: lambda _state, count: (count + 10, ("leave off",)), On: lambda _, count: (count, ("leave on",))},
        on_entry={On: lambda _state, count: (count + 100, ("enter on",))},
        timeouts={On: Timeout(5, Hold())},
    )
    assert lamp.step(Off(), Press(), 0) == Step(On(), 111, ("leave off", "enter on", "moved"), Timeout(5, Hold()))
    assert lamp.step(On(), Press(), 0).actions == ("leave on", "enter on", "again")


def test_c60_41_the_row_of_the_state_comes_before_that_of_any_and_the_hook_last() -> None:
    rows: list[Row[Light, Touch, int, str]] = [
        row(AnyState, Press, lambda state, _event, count: Step(state, count, ("any",))),
        row(On, Press, lambda state, _event, count: Step(state, count, ("on",))),
    ]
    lamp = StateMachine[Light, Touch, int, str](rows)
    assert lamp.step(On(), Press(), 0).actions == ("on",)
    assert lamp.step(Off(), Press(), 0).actions == ("any",)
    with pytest.raises(UnhandledEvent, match=r"^Unhandled event 'Hold' in state 'Off'$"):
        lamp.step(Off(), Hold(), 0)
    hooked = StateMachine[Light, Touch, int, str](rows, unhandled=lambda state, _, count: Step(state, count, ("hook",)))
    assert hooked.step(Off(), Hold(), 0).actions == ("hook",)


def fails(*_: object) -> Any:
    raise ValueError("no light")


def test_c60_41_a_failure_before_entry_leaves_the_state_and_one_at_entry_does_not() -> None:
    handler = StateMachine[Light, Touch, int, str]([row(Off, Press, fails)])
    rows: list[Row[Light, Touch, int, str]]
    rows = [row(Off, Press, lambda _state, _event, count: Step(On(), count, ("moved",)))]
    for lamp in (handler, StateMachine[Light, Touch, int, str](rows, on_exit={Off: fails})):
        with pytest.raises(ValueError, match="no light"):
            lamp.step(Off(), Press(), 0)
    with pytest.raises(EntryFailed) as failed:
        StateMachine[Light, Touch, int, str](rows, on_entry={On: fails}).step(Off(), Press(), 0)
    assert failed.value.reached.state == On()


def test_a_table_has_one_row_for_a_pair() -> None:
    twice: list[Row[Light, Touch, int, str]] = [row(Off, Press, fails), row(Off, Press, fails)]
    with pytest.raises(ValueError, match="two rows for event 'Press' in state 'Off'"):
        StateMachine[Light, Touch, int, str](twice)

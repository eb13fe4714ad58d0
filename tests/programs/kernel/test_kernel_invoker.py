"""The table of spec 40 §19.1, and what calls leave behind (00 §13.4–5)."""

from __future__ import annotations

from hashlib import sha256

import pytest
from kernel_agents import ASKER, SCORER, Desk, scripted

from ergo_cli.core.values import derive_intent_id
from ergo_cli.programs.kernel import (
    ActionError,
    AllowList,
    CallLLM,
    CallTool,
    Complete,
    Do,
    Emit,
    Extensions,
    Failure,
    Interrupt,
    KernelProgram,
    Limits,
    RetryWithBackoff,
    Sleep,
    StateUpdated,
    WaitSignal,
)
from ergo_cli.programs.kernel.calls import RunIdRule
from ergo_cli.programs.kernel.engine.policy import AllowAll
from ergo_cli.stores.memory import MemoryJournal, MemorySnapshots
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome
from ergo_cli.testing.kernel import ScriptedClock

TOOL = Do(CallTool("t", None))
BLOCKED = {"status": "Blocked", "blocked": {"interrupt": {"value": {"ask": 0}}, "wait_signal": None}}


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


# --- one run an event


def test_an_event_is_a_run_of_its_own():
    desk = Desk(SCORER, [0.5])
    termination, episode = desk.episode("e1", {"amount": 5})
    assert termination is Outcome.COMPLETED
    assert episode.run_id == "approve/e1"
    assert episode.begin == {"attempt": 0, "head": 0, "prior": None, "initial": digest('{"amount":5}')}
    assert episode.artifacts == {digest('{"amount":5}'): b'{"amount":5}'}
    assert [record["seq"] for record in episode.records[1:-1]] == [1, 2, 3, 4]
    assert episode.end == {
        "termination": "Completed",
        "status": {"status": "Completed"},
        "state": digest('{"amount":5,"score":0.5}'),
        "error": None,
    }


def test_the_bytes_of_records():
    desk = Desk(SCORER, [0.5])
    desk.run("e1", {"amount": 5})
    [journal] = desk.invoker.drain_journals()
    assert journal.records[2:-1] == (
        b'{"seq":2,"event":{"ActionSucceeded":{"action_id":"approve/e1-1","output":0.5}}}',
        b'{"seq":3,"event":{"StateUpdated":{"step_id":"score","payload":{"amount":5,"score":0.5}}}}',
        b'{"seq":4,"event":"Completed"}',
    )


def test_an_event_without_payload_has_none():
    seen: list[object] = []
    termination, episode = Desk(KernelProgram("g", seen.append, lambda state: Complete(), "g:x")).episode("e1")
    assert (termination, seen) == (Outcome.COMPLETED, [None])
    assert episode.begin["initial"] == digest("null")


def test_integers_of_a_payload_stay_integers():
    program = KernelProgram("g", lambda payload: payload, lambda state: Complete(), "g:x")
    _, episode = Desk(program).episode("e1", {"n": 2**63, "x": 1.0})
    assert episode.artifacts == {digest('{"n":9223372036854775808,"x":1.0}'): b'{"n":9223372036854775808,"x":1.0}'}


def test_a_retry_asks_the_step_function_anew_and_replaces_the_effects():
    desk = Desk(scripted(TOOL, TOOL, Complete()), [ActionError.transient("busy"), "ok"])
    assert desk.run("e1") == Failed(ErrKind.NETWORK_TIMEOUT)
    first = desk.invoker.pending
    assert desk.run("e1") is Outcome.COMPLETED
    episode = desk.drained()
    assert (first, len(episode.effects)) == (1, 1)
    frames = [record for record in episode.records if "event" not in record]
    assert [frame["begin"]["attempt"] for frame in frames if "begin" in frame] == [0, 1]
    assert frames[2]["begin"] == {"attempt": 1, "head": 2, "prior": None, "initial": None}
    assert [record["seq"] for record in episode.records if "seq" in record] == [1, 2, 3, 4, 5]
    assert desk.drained().records == [], "a drain empties"


def test_attempts_are_counted_anew_after_a_drain():
    desk = Desk(scripted(Complete(), Complete()))
    assert [desk.episode(event)[1].begin["attempt"] for event in ("e1", "e2")] == [0, 0]


def test_an_interrupted_run_is_left_alone_by_a_later_attempt():
    desk = Desk(ASKER)
    assert desk.run("e1") is Outcome.COMPLETED
    assert desk.run("e1") is Outcome.COMPLETED
    episode = desk.drained()
    assert [frame["end"]["status"] for frame in episode.records if "end" in frame] == [BLOCKED, BLOCKED]
    assert desk.log("talk/e1") == [{"Interrupted": {"value": {"ask": 0}}}]


def test_a_run_that_is_done_answers_again_without_records():
    journal = MemoryJournal()
    Desk(SCORER, [0.5], journal=journal).run("e1", {"amount": 5})
    termination, episode = Desk(SCORER, journal=journal).episode("e1", {"amount": 5})
    assert (termination, episode.events, episode.effects) == (Outcome.COMPLETED, [], [])
    assert (episode.begin["head"], episode.end["status"]) == (4, {"status": "Completed"})
    prior = episode.artifacts[episode.begin["prior"]]
    assert prior.startswith(b'[{"seq":1,"event":{"ActionRequested":')
    assert prior.endswith(b'{"seq":4,"event":"Completed"}]')


# --- a run for several events


def test_a_shared_run_is_resumed_by_the_next_event():
    desk = Desk(ASKER, run_id="one")
    _, first = desk.episode("e1", {"word": "lost"})
    _, second = desk.episode("e2", {"word": "hi"})
    termination, third = desk.episode("e3", {"word": "done"})
    assert (termination, third.run_id) == (Outcome.COMPLETED, "one")
    assert first.end["status"] == BLOCKED
    assert second.events == [{"Resumed": {"value": {"word": "hi"}}}, {"Interrupted": {"value": {"ask": 1}}}]
    assert second.begin == {"attempt": 0, "head": 1, "prior": None, "initial": None}
    assert third.events == [{"Resumed": {"value": {"word": "done"}}}, "Completed"]
    assert third.end["state"] == digest('{"words":["hi","done"]}')


def test_a_later_attempt_of_the_same_event_does_not_resume():
    desk = Desk(ASKER, run_id="one")
    desk.episode("e1")
    desk.run("e2", {"word": "hi"})
    assert desk.run("e2", {"word": "hi"}) is Outcome.COMPLETED
    assert desk.drained().events == [{"Resumed": {"value": {"word": "hi"}}}, {"Interrupted": {"value": {"ask": 1}}}]


def test_nobody_waits_for_an_event_of_a_shared_run_that_is_done():
    desk = Desk(ASKER, run_id="one")
    for event, word in (("e1", "x"), ("e2", "done")):
        desk.episode(event, {"word": word})
    termination, episode = desk.episode("e3", {"word": "late"})
    assert termination == Failed(ErrKind.VALIDATION_FAILED)
    assert (episode.events, episode.end["status"]) == ([], None)
    assert episode.end["error"]["code"] == "kernel.already_completed"
    assert episode.end["state"] == digest('{"words":["done"]}')


def test_a_failed_turn_does_not_lock_a_shared_run():
    desk = Desk(scripted(TOOL, Complete()), [Failure("no")], run_id="one")
    assert desk.episode("e1")[0] == Failed(ErrKind.SEMANTIC_ERROR)
    termination, episode = desk.episode("e2", {"a": 1})
    assert termination is Outcome.COMPLETED
    assert episode.events == [{"Resumed": {"value": {"a": 1}}}, "Completed"]


def test_a_later_attempt_of_a_failed_turn_goes_on_without_resuming():
    desk = Desk(scripted(TOOL, Complete()), [Failure("no")], run_id="one")
    desk.run("e1")
    assert desk.run("e1") is Outcome.COMPLETED
    assert [record for record in desk.log("one") if "Resumed" in record] == []


def test_runs_may_be_named_by_the_payload():
    desk = Desk(ASKER, run_id="$payload.case")
    assert [desk.episode(event, {"case": case})[1].run_id for event, case in (("e1", "a"), ("e2", "b"))] == ["a", "b"]
    _, again = desk.episode("e3", {"case": "a", "word": "done"})
    assert (again.run_id, again.events[-1]) == ("a", "Completed")


@pytest.mark.parametrize("payload", [None, {}, {"case": 5}, {"case": ""}, {"case": "a\nb"}])
def test_a_payload_that_names_no_run_is_not_valid(payload: object):
    termination, episode = Desk(ASKER, run_id="$payload.case").episode("e1", payload)
    assert termination == Failed(ErrKind.VALIDATION_FAILED)
    assert (episode.run_id, episode.events, episode.artifacts) == ("", [], {})
    assert episode.begin == {"attempt": 0, "head": 0, "prior": None, "initial": None}
    assert (episode.end["status"], episode.end["state"]) == (None, None)
    assert "'case'" in episode.end["error"]["message"]


@pytest.mark.parametrize("text", ["", "a\tb", "\x7f"])
def test_a_rule_must_be_able_to_name_a_run(text: str):
    with pytest.raises(ValueError, match="control characters"):
        RunIdRule.of(text)


# --- terminations


@pytest.mark.parametrize(
    ("results", "kind"),
    [
        ([ActionError.transient("a"), ActionError.transient("b")], ErrKind.NETWORK_TIMEOUT),
        ([ActionError.rate_limited("a", 1), ActionError.rate_limited("b", 1)], ErrKind.NETWORK_TIMEOUT),
        ([ActionError.transient("a"), ActionError.permanent("b")], ErrKind.SEMANTIC_ERROR),
        ([ActionError.transient("a"), Failure("b")], ErrKind.SEMANTIC_ERROR),
        ([Failure("a")], ErrKind.SEMANTIC_ERROR),
        ([ValueError("a")], ErrKind.SEMANTIC_ERROR),
    ],
)
def test_why_an_action_failed_decides_the_termination(results: list[object], kind: ErrKind):
    policy = RetryWithBackoff(AllowAll(), max_retries=1, backoff_base_ms=1)
    termination, episode = Desk(scripted(TOOL, policy=policy), results).episode("e1")
    assert termination == Failed(kind)
    assert episode.end["status"] == {"status": "Failed", "recoverable": False}
    assert episode.end["error"] is None


def broken(*_: object) -> object:
    raise KeyError("broken")


@pytest.mark.parametrize(
    ("program", "kind", "code", "events"),
    [
        (scripted(TOOL, policy=AllowList()), ErrKind.VALIDATION_FAILED, "kernel.policy", 0),
        (scripted(TOOL, limits=Limits(max_tool_calls=0)), ErrKind.VALIDATION_FAILED, "kernel.budget_exceeded", 0),
        (scripted(*[Emit([])] * 102), ErrKind.RUNTIME_ERROR, "kernel.step_limit", 0),
        (scripted(TOOL, TOOL, limits=Limits(max_steps=1)), ErrKind.RUNTIME_ERROR, "kernel.step_limit", 2),
        (scripted(ValueError("x")), ErrKind.RUNTIME_ERROR, "kernel.driver", 0),
        (scripted(TOOL, reduce=broken), ErrKind.RUNTIME_ERROR, "kernel.reducer", 0),
        (
            scripted(TOOL, reduce=broken, extensions=Extensions(fold_first=False)),
            ErrKind.RUNTIME_ERROR,
            "kernel.reducer",
            1,
        ),
        (scripted(Emit([StateUpdated(None, float("nan"))])), ErrKind.RUNTIME_ERROR, "kernel.not_canonical", 0),
        (scripted(Emit([StateUpdated(None, "x")]), state=int), ErrKind.RUNTIME_ERROR, "kernel.event_store", 0),
        (scripted(Emit(5)), ErrKind.RUNTIME_ERROR, "kernel.driver", 0),  # type: ignore[arg-type]
        (scripted(Do("x")), ErrKind.RUNTIME_ERROR, "kernel.driver", 0),  # type: ignore[arg-type]
        (scripted(Do(CallTool(5, None))), ErrKind.RUNTIME_ERROR, "kernel.driver", 0),  # type: ignore[arg-type]
        (scripted(Emit([StateUpdated(5, None)])), ErrKind.RUNTIME_ERROR, "kernel.driver", 0),  # type: ignore[arg-type]
    ],
)
def test_what_a_program_does_wrong_is_the_end_of_the_call_and_no_traceback(
    program: object, kind: ErrKind, code: str, events: int
):
    desk = Desk(program, [1, 2])  # type: ignore[arg-type]
    termination, episode = desk.episode("e1")
    assert termination == Failed(kind)
    assert (episode.end["error"]["code"], episode.end["status"]) == (code, None)
    assert len(episode.events) == events == len(desk.log("g/e1")), "the run is intact"
    assert episode.failure is None


def test_a_denied_action_leaves_its_effect_and_nothing_else():
    _, episode = Desk(scripted(TOOL, policy=AllowList())).episode("e1")
    assert [effect.kind for effect in episode.effects] == ["tool_call"]
    assert episode.end["state"] == digest("0")


def test_an_initial_state_that_cannot_be_made_is_null():
    program = KernelProgram("g", broken, lambda state: Complete(), "g:x")
    termination, episode = Desk(program).episode("e1")
    assert termination == Failed(ErrKind.RUNTIME_ERROR)
    assert (episode.begin["initial"], episode.end["state"], episode.artifacts) == (None, None, {})
    assert episode.end["error"] == {
        "code": "kernel.driver",
        "message": "Driver error: initial_state: KeyError: 'broken'",
    }


def test_an_error_that_no_text_can_hold_is_told_with_escapes():
    _, episode = Desk(scripted(ValueError("\ud800"))).episode("e1")
    assert episode.end["error"]["message"] == "Driver error: ValueError: \\ud800"


@pytest.mark.parametrize("fault", [{"retry_decision": broken}, {"budget": broken}])
def test_a_policy_that_breaks_denies(fault: dict[str, object]):
    policy = type("Broken", (AllowAll,), fault)()
    termination, episode = Desk(scripted(TOOL, policy=policy), [ValueError("x")]).episode("e1")
    assert termination == Failed(ErrKind.VALIDATION_FAILED)
    assert episode.end["error"]["message"] == "Policy error: KeyError: 'broken'"


# --- deadlines


def test_a_deadline_of_zero_aborts_before_anything_is_done():
    desk = Desk(SCORER, [0.5])
    termination, episode = desk.episode("e1", {"amount": 5}, deadline=0)
    assert termination is Outcome.ABORTED
    assert episode.records == [
        {"begin": {"attempt": 0, "head": 0, "prior": None, "initial": None}},
        {"end": {"termination": "Aborted", "status": None, "state": None, "error": None}},
    ]
    assert (episode.effects, desk.log("approve/e1")) == ([], [])


def test_a_deadline_ends_a_wait_between_two_tries():
    clock = ScriptedClock()
    policy = RetryWithBackoff(AllowAll(), max_retries=5, backoff_base_ms=50)
    desk = Desk(scripted(TOOL, policy=policy), [ActionError.transient("busy")] * 9, clock=clock)
    termination, episode = desk.episode("e1", deadline=120_000_000)
    assert termination is Outcome.TIMED_OUT
    assert clock.sleeps == [50_000_000, 70_000_000], "the second wait is cut"
    assert [list(event) for event in episode.events] == [["ActionRequested"]]
    assert episode.end["error"]["code"] == "kernel.deadline"
    assert episode.end["state"] == digest("0")


def test_after_a_timed_out_attempt_the_next_one_goes_on():
    clock = ScriptedClock()
    policy = RetryWithBackoff(AllowAll(), max_retries=5, backoff_base_ms=50)
    desk = Desk(scripted(TOOL, Complete(), policy=policy), [ActionError.transient("busy")] * 2, clock=clock)
    assert desk.run("e1", deadline=60_000_000) is Outcome.TIMED_OUT
    assert desk.run("e1", deadline=60_000_000) is Outcome.COMPLETED
    assert desk.log("g/e1")[-1] == "Completed"


# --- effects


def test_effects_are_told_in_the_order_in_which_they_occur():
    program = scripted(
        Do(CallLLM("p", {"b": 1, "a": 2.0})),
        Emit([StateUpdated("s", {"z": 1, "a": None}), StateUpdated(None, 7)]),
        TOOL,
        Do(CallTool("u", [1])),
        Do(Sleep(1)),
        Interrupt({"why": "x"}),
    )
    _, episode = Desk(program, [1, 2, 3, 4]).episode("e1")
    told = [(effect.kind, [(write.key, write.value.String) for write in effect.writes]) for effect in episode.effects]
    assert told == [
        ("llm_call", []),
        ("state_write", [("state:s", '{"a":null,"z":1}')]),
        ("state_write", [("state", "7")]),
        ("tool_call", []),
        ("tool_call", []),
        ("interrupt", []),
    ]
    intents = [effect.intents[0] for effect in episode.effects if effect.intents]
    assert [[(field.name, field.value.String) for field in intent.fields] for intent in intents] == [
        [("provider", "p"), ("input", '{"a":2.0,"b":1}')],
        [("tool", "t"), ("input", "null")],
        [("tool", "u"), ("input", "[1]")],
        [("value", '{"why":"x"}')],
    ]
    ordinals = [("llm_call", 0), ("tool_call", 0), ("tool_call", 1), ("interrupt", 0)]
    assert [intent.intent_id for intent in intents] == [
        derive_intent_id("g", "e1", "g/e1", kind, ordinal) for kind, ordinal in ordinals
    ]


def test_a_wait_for_a_signal_is_an_interrupt_where_the_driver_waits():
    program = scripted(Do(WaitSignal("paid")), Complete(), extensions=Extensions(built_in_waits=True))
    desk = Desk(program, run_id="one")
    termination, episode = desk.episode("e1")
    assert termination is Outcome.COMPLETED
    [effect] = episode.effects
    assert (effect.kind, effect.intents[0].fields[0].name, effect.intents[0].fields[0].value.String) == (
        "interrupt",
        "wait_signal",
        "paid",
    )
    assert episode.end["status"] == {"status": "Blocked", "blocked": {"interrupt": None, "wait_signal": "paid"}}
    _, answered = desk.episode("e2", {"sum": 3})
    assert answered.events == [{"ActionSucceeded": {"action_id": "one-1", "output": {"sum": 3}}}, "Completed"]


# --- stores


def test_a_run_goes_on_in_another_process_from_its_own_initial_state():
    journal, snapshots = MemoryJournal(), MemorySnapshots()
    Desk(ASKER, run_id="one", journal=journal, snapshots=snapshots).episode("e1", {"word": "x"})
    snapshots.drop("one")
    strange = KernelProgram("talk", broken, ASKER.step, "g:x", ASKER.reduce)
    desk = Desk(strange, run_id="one", journal=journal, snapshots=snapshots)
    termination, episode = desk.episode("e2", {"word": "done"})
    assert termination is Outcome.COMPLETED
    assert episode.begin["initial"] == digest('{"words":[]}')
    assert episode.artifacts[episode.begin["prior"]] == b'[{"seq":1,"event":{"Interrupted":{"value":{"ask":0}}}}]'


def test_records_that_somebody_else_appended_meanwhile_are_told_as_prior():
    journal = MemoryJournal()
    desk = Desk(ASKER, run_id="one", journal=journal)
    desk.episode("e1")
    journal.append("one", ['{"Resumed":{"value":{"word":"aside"}}}', '{"Interrupted":{"value":1}}'])
    _, episode = desk.episode("e2", {"word": "done"})
    assert episode.begin["head"] == 3
    assert episode.artifacts[episode.begin["prior"]].count(b'"seq"') == 3
    assert [record["seq"] for record in episode.records if "seq" in record] == [4, 5]


class Intruder(MemoryJournal):
    """A journal into which somebody else writes just before each append."""

    def append(self, run: str, texts, expected_head: int | None = None) -> int:
        super().append(run, ['{"Interrupted":{"value":1}}'])
        return super().append(run, texts, expected_head)


def test_two_processes_that_drive_one_run_are_told_apart():
    termination, episode = Desk(SCORER, [0.5], journal=Intruder()).episode("e1", {"amount": 5})
    assert termination == Failed(ErrKind.ADAPTER_UNAVAILABLE)
    assert episode.end["error"]["code"] == "kernel.seq_conflict"
    assert episode.failure is not None
    assert episode.events == [], "what somebody else wrote is not told as the call's own"


@pytest.mark.parametrize(
    ("text", "code"), [('{"Strange":{}}', "kernel.unknown_event"), ('{"Resumed":{}}', "kernel.corrupt_log")]
)
def test_a_log_that_cannot_be_read_is_its_stores_fault(text: str, code: str):
    journal = MemoryJournal()
    journal.append("g/e1", [text])
    termination, episode = Desk(scripted(), journal=journal).episode("e1")
    assert termination == Failed(ErrKind.ADAPTER_UNAVAILABLE)
    assert (episode.end["error"]["code"], episode.begin["head"]) == (code, 1)
    assert episode.failure is not None
    assert episode.failure.code == code
    assert len(desk_log(journal)) == 1, "the run is intact"


def desk_log(journal: MemoryJournal) -> list[tuple[int, str]]:
    return list(journal.scan("g/e1"))


def test_failed_tries_are_kept_in_the_store_where_the_program_asks_for_it():
    policy = RetryWithBackoff(AllowAll(), max_retries=1, backoff_base_ms=1)
    for wanted, kept in ((True, 2), (False, 0)):
        attempts = MemoryJournal()
        program = scripted(TOOL, policy=policy, extensions=Extensions(log_attempts=wanted))
        Desk(program, [ActionError.transient("a"), ActionError.transient("b")], attempts=attempts).episode("e1")
        assert attempts.head("g/e1") == kept


def test_a_reducer_that_spoils_its_state_does_not_spoil_the_initial_one():
    def spoil(state: dict[str, list[str]], event: object) -> dict[str, list[str]]:
        state["words"].append("spoilt")
        return state

    program = KernelProgram("talk", lambda payload: {"words": []}, ASKER.step, "g:x", spoil)
    desk = Desk(program, run_id="one")
    _, first = desk.episode("e1")
    assert first.end["state"] == digest('{"words":["spoilt"]}')
    _, second = desk.episode("e2", {"word": "hi"})
    assert second.end["state"] == digest('{"words":["spoilt","spoilt","spoilt"]}')

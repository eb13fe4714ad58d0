"""Spec 40 §21.6, replay cursor, replay-and-resume, verifier: C-56 to C-69."""

from __future__ import annotations

from typing import Any

import pytest
from kernel_scenarios import digits, preloaded

from ergo_cli.programs.kernel.companions.verification import (
    RunNotFound,
    StateHashMismatch,
    ToolChecksumMismatch,
    UnmatchedInterrupt,
    UnmatchedResume,
    VerifyConfig,
    tool_checksum,
    verify_run,
)
from ergo_cli.programs.kernel.engine.events import ActionRequested, Completed, Event, Interrupted, Resumed, StateUpdated
from ergo_cli.programs.kernel.engine.state import ReplayCursor, StateUpdatedOnly
from ergo_cli.programs.kernel.runs.fork import ReplayResume, ResumeDecision, ResumeResult
from ergo_cli.stores.memory import MemoryJournal, MemorySnapshots

INTERRUPTS = VerifyConfig(verify_interrupt_consistency=True)
LETTERS: dict[str, Event] = {"S": StateUpdated(None, 0), "I": Interrupted(0), "R": Resumed(0), "C": Completed()}


def log_of(letters: str) -> list[Event]:
    return [LETTERS[letter] for letter in letters]


def updates(*payloads: object) -> list[Event]:
    return [StateUpdated(None, payload) for payload in payloads]


def test_c40_56_the_cursor_folds() -> None:
    journal = preloaded("r", [*updates(1, 2), Completed()])
    assert ReplayCursor[Any](journal, StateUpdatedOnly()).replay("r", 0) == 2


def test_c40_57_the_cursor_starts_from_a_checkpoint() -> None:
    snapshots = MemorySnapshots()
    snapshots.save("r", 1, "10")
    cursor = ReplayCursor[Any](preloaded("r", [*updates(10, 20), Completed()]), StateUpdatedOnly(), snapshots)
    assert cursor.replay_from_checkpoint("r", 0) == 20


def test_c40_58_step_by_step() -> None:
    steps = ReplayCursor[Any](preloaded("r", updates(1, 2)), StateUpdatedOnly()).replay_step("r", 0, 1)
    assert steps.current_state == 0
    assert [state for state, _ in steps] == [1, 2]
    assert next(steps, None) is None
    assert next(steps, None) is None
    assert steps.current_state == 2


def test_c40_59_an_interrupted_run_is_resumed_in_thought() -> None:
    resume = ReplayResume[Any](preloaded("r", [*updates(1), Interrupted("ask")]), StateUpdatedOnly())
    assert resume.resume("r", ResumeDecision("yes"), 0) == ResumeResult(1, 3, False)


def test_c40_60_nothing_is_written_back() -> None:
    journal = preloaded("other", [*updates(1), Interrupted("ask")])
    resume = ReplayResume[Any](journal, StateUpdatedOnly())
    assert not resume.resume("other", ResumeDecision({}), 0).idempotent
    assert journal.head("other") == 2
    assert not resume.resume("other", ResumeDecision({}), 0).idempotent


def test_c40_61_twice_is_the_same() -> None:
    resume = ReplayResume[Any](preloaded("r", [*updates(5), Interrupted(0)]), StateUpdatedOnly())
    assert resume.verify_idempotent("r", ResumeDecision(1), 0)


@pytest.mark.parametrize(
    ("letters", "result"),
    [
        ("SI", ResumeResult(156, 3, False)),
        ("SIR", ResumeResult(15, 2, True)),
        ("SIRSI", ResumeResult(15156, 5, False)),
        ("", ResumeResult(6, 1, False)),
    ],
)
def test_c40_62_every_row_of_the_table(letters: str, result: ResumeResult[int]) -> None:
    journal = preloaded("r", log_of(letters))
    assert ReplayResume[int](journal, digits).resume("r", ResumeDecision(1), 0) == result
    assert journal.head("r") == len(letters)


def test_c40_63_an_unknown_run() -> None:
    assert verify_run(MemoryJournal(), "r", VerifyConfig()) == RunNotFound()


def test_c40_64_another_stream_hash() -> None:
    zeros = "0" * 64
    found = verify_run(
        preloaded("r", [Completed()]), "r", VerifyConfig(verify_state_hash=True, expected_state_hash=zeros)
    )
    assert found == StateHashMismatch(
        zeros,
        "verification failed: Driver error: replay mismatch: event stream hash differs from expected "
        "(determinism verify)",
    )


def test_c40_65_another_tool_checksum() -> None:
    journal, expected = preloaded("r", [ActionRequested("a1", {"tool": "foo"})]), "ff" * 32
    config = VerifyConfig(verify_tool_checksum=True, expected_tool_checksum=expected)
    actual = "1dd3e5f3367d9d419c301003956c0da96e5dc28db3b0476811c1ff05f1fe5328"
    assert verify_run(journal, "r", config) == ToolChecksumMismatch(expected, actual)
    assert verify_run(journal, "r", VerifyConfig(verify_tool_checksum=True)) is None
    upper = VerifyConfig(verify_tool_checksum=True, expected_tool_checksum=actual.upper())
    assert verify_run(journal, "r", upper) == ToolChecksumMismatch(actual.upper(), actual)


def test_c40_66_an_interrupt_that_nobody_resumed() -> None:
    journal = preloaded("r", [Interrupted({"reason": "ask"}), Completed()])
    assert verify_run(journal, "r", INTERRUPTS) == UnmatchedInterrupt(1, {"reason": "ask"})


def test_c40_67_a_pair() -> None:
    assert verify_run(preloaded("r", log_of("IRC")), "r", INTERRUPTS) is None


def test_c40_68_the_tool_checksum_is_stable() -> None:
    requests: list[Event] = [
        ActionRequested("a1", {"tool": "foo", "input": 1}),
        ActionRequested("a2", {"tool": "bar", "input": 2}),
    ]
    journal = preloaded("r", requests)
    expected = "ef317aec815907fb08e79e68beeb4982229607f6f1f4a5a259e7f8774d7705aa"
    assert tool_checksum(journal, "r") == tool_checksum(journal, "r") == expected


@pytest.mark.parametrize(("expected", "actual"), [("zz", "invalid hex"), ("00", "wrong length"), ("0", "invalid hex")])
def test_c40_69_what_is_no_hash(expected: str, actual: str) -> None:
    config = VerifyConfig(verify_state_hash=True, expected_state_hash=expected)
    assert verify_run(preloaded("r", [Completed()]), "r", config) == StateHashMismatch(expected, actual)


@pytest.mark.parametrize(
    ("log", "failure"),
    [
        ([Interrupted(1), Interrupted(2)], UnmatchedInterrupt(2, 2)),
        ([Interrupted(1), Interrupted(2), Resumed(0)], UnmatchedInterrupt(1, 1)),
        ([Resumed(0)], UnmatchedResume(1)),
        ([Interrupted(1), Resumed(0), Resumed(0), Interrupted(2)], UnmatchedResume(3)),
        ([Interrupted(1), Interrupted(2), Resumed(0), Resumed(0)], None),
        ([Interrupted(1), Completed()], UnmatchedInterrupt(1, 1)),
    ],
)
def test_c40_69_every_row_of_the_interrupt_table(log: list[Event], failure: object) -> None:
    assert verify_run(preloaded("r", log), "r", INTERRUPTS) == failure


def test_c40_69_a_hash_in_either_case_and_a_flag_without_value() -> None:
    journal = preloaded("r", [Completed()])
    digest = "926e4c28843d018508ae301af907fe819c5ba5a0c7dd86cd978ea2751d599680"
    for expected in (digest, digest.upper(), None):
        config = VerifyConfig(verify_state_hash=True, expected_state_hash=expected)
        assert verify_run(journal, "r", config) is None


def test_c40_69_a_log_that_cannot_be_read_fails_each_check_in_its_words() -> None:
    journal = MemoryJournal()
    journal.append("r", ['"Completed"', '"Paused"'])
    text = "EventStore error: row decode: unknown variant `Paused`"
    tools = verify_run(journal, "r", VerifyConfig(verify_tool_checksum=True))
    assert isinstance(tools, ToolChecksumMismatch)
    assert tools.expected == "compute"
    assert tools.actual.startswith(text)
    interrupts = verify_run(journal, "r", INTERRUPTS)
    assert isinstance(interrupts, UnmatchedInterrupt)
    assert interrupts.seq == 0
    assert interrupts.value.startswith(text)

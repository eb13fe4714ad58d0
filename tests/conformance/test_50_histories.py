"""Spec 50 §24, analysis of attempt envelopes: C-48 to C-56."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from plan_lab import EMPTY, M1, NONE, RUN, S1, S2, X1, envelopes

from ergo_cli.programs.plan.errors import ErrorCategory, ErrorInfo, Failure
from ergo_cli.programs.plan.events import (
    DomainEvent,
    Envelope,
    KernelEvent,
    RunCompleted,
    RunStarted,
    RunStatus,
    StateCompleted,
    StateEntered,
    StateFailed,
)
from ergo_cli.programs.plan.history import EnvelopeFault, History, OpenAttempt

OTHER_RUN = "22222222-2222-4333-8444-555555555555"
RS = RunStarted("op", M1, EMPTY)
RC = RunCompleted(RunStatus.COMPLETED, X1)
NOTE = DomainEvent("note", 1)


def entered(state: str = S1, attempt: int = 0, base: str = EMPTY) -> StateEntered:
    return StateEntered(state, attempt, base)


def completed(state: str = S1) -> StateCompleted:
    return StateCompleted(state, X1)


def failed(state: str = S1, code: str = "flaky") -> StateFailed:
    return StateFailed(state, Failure(state, ErrorInfo(code, ErrorCategory.UNKNOWN, True, "")), None)


def history(*events: KernelEvent | DomainEvent) -> History:
    return History.of(envelopes(*events))


def fault(events: Sequence[Envelope]) -> tuple[str, int]:
    with pytest.raises(EnvelopeFault) as found:
        History.of(events)
    return found.value.variant, found.value.seq


@pytest.mark.parametrize("inside", [(NOTE,), ()])
def test_c50_48_a_whole_run(inside: tuple[DomainEvent, ...]) -> None:
    read = history(RS, entered(), *inside, completed(), RC)
    assert (read.checkpoint, read.orphan, read.completed) == (X1, None, RC)


def test_c50_49_an_attempt_that_is_open_at_the_end() -> None:
    read = history(entered(attempt=7))
    assert read.orphan == OpenAttempt(S1, 7, EMPTY, entered_seq=1)
    assert read.checkpoint is None


@pytest.mark.parametrize("end", [completed(), failed()])
def test_c50_50_an_end_without_a_beginning(end: KernelEvent) -> None:
    assert fault(envelopes(RS, end)) == ("TerminalWithoutEntered", 2)


@pytest.mark.parametrize("end", [completed(S2), failed(S2)])
def test_c50_51_the_end_of_another_state(end: KernelEvent) -> None:
    assert fault(envelopes(RS, entered(), end)) == ("TerminalStateIdMismatch", 3)


@pytest.mark.parametrize(
    "second",
    [entered(S2), entered(S2, 1), entered(), entered(attempt=1, base=NONE)],
    ids=["other state", "other state, higher", "same number", "other base"],
)
def test_c50_52_an_attempt_inside_another(second: KernelEvent) -> None:
    assert fault(envelopes(RS, entered(), second)) == ("NestedStateEntered", 3)


def test_c50_53_an_attempt_that_is_made_again_supersedes() -> None:
    read = history(RS, entered(), entered(attempt=1))
    assert read.orphan == OpenAttempt(S1, 1, EMPTY, entered_seq=3, superseded=1)
    read = history(RS, entered(), entered(attempt=1), entered(attempt=5))
    assert read.orphan == OpenAttempt(S1, 5, EMPTY, entered_seq=4, superseded=2)
    read = history(RS, entered(), entered(attempt=1), completed(), RC)
    assert (read.orphan, read.checkpoint) == (None, X1)


@pytest.mark.parametrize("inside", [RC, RS])
def test_c50_54_a_run_ends_and_begins_outside_of_attempts(inside: KernelEvent) -> None:
    assert fault(envelopes(entered(), inside)) == ("UnexpectedKernelInsideAttempt", 2)


def test_c50_55_numbers_rise() -> None:
    first, second = envelopes(RS, entered())
    for seq in (1, 0):
        again = Envelope(second.run_id, seq, None, second.event)
        assert fault([first, again]) == ("NonMonotonicSeq", seq)
    later = Envelope(second.run_id, 9, None, second.event)
    assert History.of([first, later]).orphan == OpenAttempt(S1, 0, EMPTY, entered_seq=9)


def test_c50_55_a_stream_is_of_one_run() -> None:
    [foreign] = envelopes(entered(), first=2, run=OTHER_RUN)
    assert fault([*envelopes(RS), foreign]) == ("RunIdMismatch", 2)


def test_c50_56_the_streams_of_later_engines() -> None:
    read = history(RS, entered(), failed(code="orphan_attempt_recovered"), entered(attempt=1), completed())
    assert (read.orphan, read.checkpoint) == (None, X1)


@pytest.mark.parametrize(
    ("events", "variant"),
    [
        ((RS, RS), "DuplicateRunStarted"),
        ((RS, RC, RC), "EventAfterRunCompleted"),
        ((RS, RC, entered()), "EventAfterRunCompleted"),
    ],
)
def test_a_run_begins_and_ends_once(events: Sequence[KernelEvent], variant: str) -> None:
    assert fault(envelopes(*events)) == (variant, len(events))


def test_the_run_of_a_history() -> None:
    assert history(RS).run_id == RUN

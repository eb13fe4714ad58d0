"""Any kernel program: a run is the fold of its log, and a crash at any point changes nothing but how often it tries."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.programs.kernel import (
    Action,
    ActionCall,
    ActionSucceeded,
    CallLLM,
    CallTool,
    Complete,
    Do,
    Emit,
    Extensions,
    Interrupt,
    Limits,
    OnOrphan,
    Resume,
    Resumed,
    SequencedEvent,
    SnapshotCadence,
    StateUpdated,
)
from ergo_cli.programs.kernel.engine.actions import Next
from ergo_cli.programs.kernel.engine.events import RunBlocked, RunCompleted, RunLog, RunStatus
from ergo_cli.programs.kernel.program import Kernel
from ergo_cli.programs.kernel.replay.divergence import LogVerdict
from ergo_cli.programs.kernel.replay.redrive import redrive
from ergo_cli.stores.memory import MemoryJournal, MemorySnapshots

RUN = "r"
State = dict[str, Any]
names = st.text(st.characters(codec="utf-8"), max_size=3)
integers = st.integers(-(2**63), 2**64 - 1)
values = st.recursive(
    st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
plans = st.lists(st.tuples(st.sampled_from(["emit", "tool", "model", "ask"]), values), max_size=6)


class Crash(BaseException):
    """The process is gone."""


class CrashingJournal(MemoryJournal):
    """Dies right behind its n-th append."""

    def __init__(self, appends: int) -> None:
        super().__init__()
        self.appends_left = appends

    def append(self, *arguments: Any, **named: Any) -> int:
        head = super().append(*arguments, **named)
        self.appends_left -= 1
        if self.appends_left == 0:
            raise Crash
        return head


def program(plan: list[tuple[str, Any]]) -> Any:
    """A step function that goes through a plan, where the state says how far it has come."""

    def step(state: State) -> Next:
        if state["at"] >= len(plan):
            return Complete()
        word, value = plan[state["at"]]
        match word:
            case "emit":
                return Emit([StateUpdated(str(state["at"]), value)])
            case "ask":
                return Interrupt(value)
            case "tool":
                return Do(CallTool("t", value))
            case _:
                return Do(CallLLM("p", value))

    return step


def reduce(state: State, event: SequencedEvent) -> State:
    match event.event:
        case StateUpdated(_, value) | ActionSucceeded(_, value) | Resumed(value):
            return {"at": state["at"] + 1, "seen": [*state["seen"], value]}
        case _:
            return state


def answer(action: Action, call: ActionCall) -> Any:
    assert isinstance(action, CallTool | CallLLM)
    return {"echo": action.input}


def kernel_of(plan: list[tuple[str, Any]], journal: MemoryJournal, **parts: Any) -> Kernel[State]:
    return Kernel[State](journal=journal, reducer=reduce, step=program(plan), executor=answer, limits=Limits(), **parts)


def start() -> State:
    return {"at": 0, "seen": []}


def drive(kernel: Kernel[State]) -> RunStatus:
    """From wherever the log ends until the run is done: each question is answered by its own number."""
    last = [text for _, text in kernel.journal.scan(RUN)][-1:]
    if last == ['"Completed"']:
        return RunCompleted()
    is_asking = bool(last) and last[0].startswith('{"Interrupted"')
    status: RunStatus | None = None if is_asking else kernel.run_until_blocked(RUN, start())
    while status is None or isinstance(status, RunBlocked):
        status = kernel.resume(RUN, start(), Resume(kernel.journal.head(RUN)))
    return status


def log_of(journal: MemoryJournal) -> list[str]:
    return [text for _, text in journal.scan(RUN)]


@given(plans, st.integers(0, 4), st.booleans())
def test_a_run_is_the_fold_of_its_log_with_and_without_snapshots(
    plan: list[tuple[str, Any]], every: int, fold_first: bool
) -> None:
    extensions = Extensions(fold_first=fold_first, cadence=SnapshotCadence(every=every))
    snapshots = MemorySnapshots()
    kernel = kernel_of(plan, MemoryJournal(), snapshots=snapshots, extensions=extensions)
    drive(kernel)
    whole = kernel.replay(RUN, start())
    latest = snapshots.load_latest(RUN)
    assert latest is not None
    assert (latest.at_seq, latest.text) == (kernel.journal.head(RUN), kernel.codec.encode(whole).decode())
    assert kernel.replay_from_snapshot(RUN, start()) == whole
    bare = kernel_of(plan, MemoryJournal())
    drive(bare)
    assert list(bare.journal.scan(RUN)) == list(kernel.journal.scan(RUN))


@given(plans, st.integers(1, 20), st.booleans())
def test_a_crash_at_any_point_leaves_the_same_log_in_the_end(
    plan: list[tuple[str, Any]], appends: int, with_snapshots: bool
) -> None:
    undisturbed = MemoryJournal()
    drive(kernel_of(plan, undisturbed))
    journal = CrashingJournal(appends)
    parts: dict[str, Any] = {
        "snapshots": MemorySnapshots() if with_snapshots else None,
        "extensions": Extensions(on_orphan=OnOrphan.COMPLETE, fold_first=True),
    }
    try:
        drive(kernel_of(plan, journal, **parts))
    except Crash:
        drive(kernel_of(plan, journal, **parts))
    assert log_of(journal) == log_of(undisturbed)


@given(plans)
def test_every_call_driven_again_matches_and_executes_nothing(plan: list[tuple[str, Any]]) -> None:
    kernel = kernel_of(plan, MemoryJournal())
    kernel.run_until_blocked(RUN, start())
    records = list(RunLog(kernel.journal, RUN).scan())
    unreachable = msgspec.structs.replace(kernel, journal=MemoryJournal(), executor=lambda action, call: 1 / 0)
    redriven = redrive(unreachable, RUN, lambda today: today.run_until_blocked(RUN, start()), records)
    assert redriven.report.verdict is LogVerdict.MATCH
    assert (redriven.report.common_prefix, redriven.error) == (len(records), None)

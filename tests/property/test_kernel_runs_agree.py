"""Runs in any store: however they are driven, resumed, broken off, forked and folded, all stores come to the same.

The model is one run in memory that is never broken off and has no snapshots.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from ergo_cli.core.json import canonical
from ergo_cli.programs.kernel import (
    Action,
    ActionCall,
    ActionFailed,
    ActionSucceeded,
    CallTool,
    Complete,
    Completed,
    Do,
    Emit,
    Extensions,
    Failure,
    Interrupt,
    Interrupted,
    Kernel,
    KernelError,
    Limits,
    OnOrphan,
    Resume,
    Resumed,
    SequencedEvent,
    SnapshotCadence,
    StateUpdated,
)
from ergo_cli.programs.kernel.engine.actions import Next
from ergo_cli.programs.kernel.engine.events import (
    BlockedInfo,
    InterruptInfo,
    RunBlocked,
    RunCompleted,
    RunFailed,
    RunStatus,
)
from ergo_cli.programs.kernel.kept_runs import KernelRuns
from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.programs.runs import Standing
from ergo_cli.stores.backends import RunStore, memory_store, open_store
from ergo_cli.stores.journals import EventJournal

EXAMPLES = count(1)
RUNS = KernelRuns()
State = dict[str, Any]
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
PLANS = st.lists(st.tuples(st.sampled_from(["emit", "emit twice", "tool", "fail once", "ask"]), VALUES), max_size=8)
CADENCES = st.builds(SnapshotCadence, every=st.integers(0, 4), keep=st.none() | st.integers(1, 3))


class Crash(BaseException):
    """The process is gone."""


class CrashingJournal:
    """Dies before or behind its n-th append."""

    def __init__(self, journal: EventJournal, appends: int, *, written: bool) -> None:
        self._journal = journal
        self._left = appends
        self._written = written
        self.scan, self.head, self.runs = journal.scan, journal.head, journal.runs

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        self._left -= 1
        if self._left == 0 and not self._written:
            raise Crash
        head = self._journal.append(run, texts, expected_head)
        if self._left == 0:
            raise Crash
        return head


def kernel_in(store: RunStore, plan: list[tuple[str, Any]], cadence: SnapshotCadence) -> Kernel[State]:
    def step(state: State) -> Next:
        if state["at"] >= len(plan):
            return Complete()
        word, value = plan[state["at"]]
        match word:
            case "emit":
                return Emit([StateUpdated("last", value)])
            case "emit twice":
                return Emit([StateUpdated("first", value), StateUpdated("last", value)])
            case "ask":
                return Interrupt(value)
            case _:
                return Do(CallTool(word, value))

    def execute(action: Action, call: ActionCall) -> Any:
        assert isinstance(action, CallTool)
        return Failure("no") if action.tool == "fail once" else {"echo": action.input}

    return Kernel[State](
        journal=store.journal,
        snapshots=store.snapshots,
        reducer=reduce,
        step=step,
        executor=execute,
        limits=Limits(),
        extensions=Extensions(fold_first=True, on_orphan=OnOrphan.COMPLETE, cadence=cadence),
    )


def reduce(state: State, event: SequencedEvent) -> State:
    match event.event:
        case StateUpdated("first", value):
            return {"at": state["at"], "seen": [*state["seen"], value]}
        case StateUpdated(_, value) | ActionSucceeded(_, value) | Resumed(value):
            return {"at": state["at"] + 1, "seen": [*state["seen"], value]}
        case ActionFailed(_, error):
            return {"at": state["at"] + 1, "seen": [*state["seen"], error]}
        case _:
            return state


def start() -> State:
    return {"at": 0, "seen": []}


class RunsAgree(RuleBasedStateMachine):
    """Does the same to a run in every store, with breaks in those that are not the model."""

    stores: tuple[RunStore, ...] = ()

    @initialize(plan=PLANS, cadence=CADENCES)
    def begin(self, plan: list[tuple[str, Any]], cadence: SnapshotCadence) -> None:
        self.plan, self.cadence = plan, cadence
        self.run = f"{next(EXAMPLES)}/run"  # the stores outlive the example
        self.branches = count(1)
        self.model = replace(kernel_in(memory_store(), plan, cadence), snapshots=None)

    @property
    def kernels(self) -> list[Kernel[State]]:
        return [kernel_in(store, self.plan, self.cadence) for store in self.stores]

    @property
    def log(self) -> list[tuple[int, str]]:
        return list(self.model.journal.scan(self.run))

    @property
    def is_asking(self) -> bool:
        return self.model.log_end(self.run).is_interrupted

    def agree(self, expected: RunStatus | str, answers: list[RunStatus | str]) -> None:
        assert answers == [expected] * len(answers)

    @precondition(lambda self: not self.is_asking)
    @rule()
    def drive(self) -> None:
        expected = driven(self.model, self.run)
        self.agree(expected, [driven(kernel, self.run) for kernel in self.kernels])

    @rule(value=VALUES)
    def resume(self, value: Any) -> None:
        """With an answer, whether or not anybody waits for one."""
        expected = resumed(self.model, self.run, value)
        self.agree(expected, [resumed(kernel, self.run, value) for kernel in self.kernels])

    @rule(value=VALUES, appends=st.lists(st.integers(1, 5), min_size=1, max_size=3), written=st.booleans())
    def break_off_and_take_the_turn_again(self, value: Any, appends: list[int], written: bool) -> None:
        behind = len(self.log)
        expected = turn(self.model, self.run, value, behind)
        for kernel in self.kernels:
            for number in appends:
                mortal = replace(kernel, journal=CrashingJournal(kernel.journal, number, written=written))
                with suppress(Crash):
                    turn(mortal, self.run, value, behind)
            self.agree(expected, [turn(kernel, self.run, value, behind)])

    @rule(keep=st.integers(0, 2))
    def lose_snapshots(self, keep: int) -> None:
        for store in self.stores:
            store.snapshots.prune(self.run, keep)

    @rule(cadence=CADENCES)
    def take_snapshots_otherwise(self, cadence: SnapshotCadence) -> None:
        self.cadence = cadence

    @precondition(lambda self: self.log)
    @rule()
    def list(self) -> None:
        for store in self.stores:
            (listed,) = [listed for listed in RUNS.list(store) if listed.run_id == self.run]
            assert (listed.head, listed.standing) == (len(self.log), self.status)

    @rule()
    def reopen(self) -> None:
        for store in self.stores:
            store.close()

    @precondition(lambda self: self.log)
    @rule(data=st.data(), value=VALUES)
    def fork(self, data: st.DataObject, value: Any) -> None:
        """A branch that is driven on does what the model does that begins in the same way."""
        at = data.draw(st.integers(0, len(self.log)))
        branch = f"{self.run}/{next(self.branches)}"
        texts = [text for _, text in self.log[:at]] + [canonical({"Resumed": {"value": value}}).decode()]
        aside = replace(kernel_in(memory_store(), self.plan, self.cadence), snapshots=None)
        aside.journal.append(branch, texts)
        expected = driven(aside, branch)
        for store, kernel in zip(self.stores, self.kernels, strict=True):
            RUNS.fork(store, self.run, at, branch, {"Resumed": {"value": value}})
            assert [text for _, text in store.journal.scan(branch)] == texts
            self.agree(expected, [driven(kernel, branch)])
            assert list(store.journal.scan(branch)) == list(aside.journal.scan(branch))

    @invariant()
    def logs_and_states_agree(self) -> None:
        log, state = self.log, self.model.replay(self.run, start())
        for kernel in self.kernels:
            assert list(kernel.journal.scan(self.run)) == log
            assert canonical(kernel.replay(self.run, start())) == canonical(state)
            assert canonical(kernel.replay_from_snapshot(self.run, start())) == canonical(state)
            assert kernel.run_timeline(self.run) == self.model.run_timeline(self.run)

    @invariant()
    def what_is_told_agrees(self) -> None:
        if not self.log:
            return
        for store in self.stores:
            shown = RUNS.show(store, self.run)
            assert (shown.head, shown.standing) == (len(self.log), self.status)
            assert (shown.interrupt is not None) == self.is_asking

    @property
    def status(self) -> Standing:
        text = self.log[-1][1]
        endings = {'"Completed"': Standing.COMPLETED, '{"Interrupted"': Standing.BLOCKED}
        endings['{"ActionFailed"'] = Standing.FAILED
        return next((status for begin, status in endings.items() if text.startswith(begin)), Standing.ACTIVE)


def driven(kernel: Kernel[State], run: str) -> RunStatus | str:
    try:
        return kernel.run_until_blocked(run, start(), strict=True)
    except KernelError as error:
        return error.code


def resumed(kernel: Kernel[State], run: str, value: Any) -> RunStatus | str:
    try:
        return kernel.resume(run, start(), Resume(value))
    except KernelError as error:
        return error.code


def turn(kernel: Kernel[State], run: str, value: Any, behind: int) -> RunStatus | str:
    """Answer what was asked at ``behind``, else drive on: as far as it takes to end the turn that began there."""
    end = kernel.log_end(run)
    if end.head == behind:
        return resumed(kernel, run, value) if end.is_interrupted else driven(kernel, run)
    match end.last:
        case Interrupted(asked):
            return RunBlocked(BlockedInfo(InterruptInfo(asked)))
        case Completed():
            return RunCompleted()
        case ActionFailed():
            return RunFailed()
        case _:
            return driven(kernel, run)


def check(*stores: RunStore) -> None:
    machine = type("RunsAgree", (RunsAgree,), {"stores": stores})
    run_state_machine_as_test(machine, settings=settings(max_examples=60, stateful_step_count=12))


@pytest.fixture
def sqlite(tmp_path: Path) -> Generator[RunStore]:
    with open_store(f"sqlite:{tmp_path}/runs.db", tmp_path, lambda: 0, KERNEL_TABLES) as store:
        yield store


def test_memory_and_sqlite_agree(sqlite: RunStore) -> None:
    check(memory_store(), sqlite)


def test_memory_and_postgres_agree(postgres: str, tmp_path: Path) -> None:
    with open_store(f"postgres:{postgres}", tmp_path, lambda: 0, KERNEL_TABLES) as store:
        check(memory_store(), store)

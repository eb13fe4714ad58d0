"""What a resumption would lead to, without resuming (spec 40 §3.16, §10.6)."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

from ergo_cli.programs.kernel.events import Resumed, SequencedEvent
from ergo_cli.programs.kernel.reducers import Reducer, fold_one
from ergo_cli.programs.kernel.run_log import RunLog
from ergo_cli.programs.kernel.wire import FreeValue
from ergo_cli.stores.journals import EventJournal

S = TypeVar("S")


class ResumeDecision(Struct, frozen=True):
    """The value to resume with; the metadata is carried along."""

    value: FreeValue
    metadata: FreeValue = None


class ResumeResult(Struct, Generic[S], frozen=True):
    """The state behind the resumption; ``idempotent`` says that the log already ends in one."""

    state: S
    events_replayed: int
    idempotent: bool


class ReplayResume(Generic[S]):
    """Folds a run without its resumptions and with one more at its end. Nothing is written."""

    def __init__(self, journal: EventJournal, reducer: Reducer[S]) -> None:
        self._journal = journal
        self._reducer = reducer

    def resume(self, run_id: str, decision: ResumeDecision, initial_state: S) -> ResumeResult[S]:
        """The state that the decision leads to; a log that ends in a resumption gets no second one."""
        state, replayed, last = initial_state, 0, None
        for event in RunLog(self._journal, run_id).scan():
            last = event.event
            if not isinstance(last, Resumed):
                state, replayed = fold_one(self._reducer, state, event, run_id), replayed + 1
        idempotent = isinstance(last, Resumed)
        if not idempotent:
            replayed += 1
            state = fold_one(self._reducer, state, SequencedEvent(replayed, Resumed(decision.value)), run_id)
        return ResumeResult(state, replayed, idempotent)

    def verify_idempotent(self, run_id: str, decision: ResumeDecision, initial_state: S) -> bool:
        """Whether doing it twice leads to the same state by as many events (K-9)."""
        return self.resume(run_id, decision, initial_state) == self.resume(run_id, decision, initial_state)

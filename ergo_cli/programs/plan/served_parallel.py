"""Replay of parallel runs: their attempts are made again one after the other, in the order of the stream (B-5)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.programs.plan.attempts import AttemptResult
from ergo_cli.programs.plan.engine import Engine, Progress, RunResult
from ergo_cli.programs.plan.errors import Failure
from ergo_cli.programs.plan.events import Envelope
from ergo_cli.programs.plan.history import History
from ergo_cli.programs.plan.joins import Joins
from ergo_cli.programs.plan.manifest import ExecutionMode
from ergo_cli.programs.plan.parallel import check_parallel, joins_of
from ergo_cli.programs.plan.seen_facts import RunFacts
from ergo_cli.programs.plan.states import ExecutionPlan, State


class ServedScheduler(Struct, frozen=True):
    """Runs one state at a time, each on what it started from and with the facts that it saw beside others."""

    def check(self, mode: ExecutionMode) -> None:
        """Raise RunError ``plan.unsupported_execution_mode`` unless the mode is ``FanOutJoin``."""
        check_parallel(mode)

    def bases(self, engine: Engine, plan: ExecutionPlan, order: Sequence[str], history: History) -> Joins:
        """The join snapshots of a run."""
        return joins_of(engine, plan, order, history)

    def run(self, engine: Engine, run: Progress, events: Sequence[Envelope]) -> RunResult:
        """Run the states in the calling thread."""
        assert isinstance(run.bases, Joins)
        facts = RunFacts(run.bases.precedence, run.writer.run_id, events)
        return engine.run_states(run, JoinedAttempts(engine, run, run.bases, facts))


class JoinedAttempts(Struct, frozen=True):
    """Executes each attempt with the facts that its state sees, and refuses what a state beside it has changed."""

    engine: Engine
    run: Progress
    joins: Joins
    facts: RunFacts

    def execute(self, state: State, attempt: int, base: str) -> AttemptResult:
        """Run one attempt on the join snapshot. Raises as the engine's attempts."""
        facts = self.facts.of(self.joins.precedence.places[state.id])
        attempts = self.engine.attempts_of(self.run.writer, self.run.config, facts)
        return replace(attempts, veto=self._veto).execute(state, attempt, base)

    def settle(self) -> None:
        """Return at once: nothing runs but an attempt."""

    def _veto(self, state_id: str, snapshot: str) -> Failure | None:
        self.joins.ended(state_id, snapshot)
        return self.joins.refusal(state_id)

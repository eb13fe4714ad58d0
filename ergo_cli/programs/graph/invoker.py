"""The front door of graph programs: what the supervisor runs and the host drains (spec 20 §14, 30 §6)."""

from __future__ import annotations

from ergo_cli.core.effects import Effect, ProducedEffect
from ergo_cli.errors import ErgoError, RuleError, headline
from ergo_cli.events.adapter.provides import Provides
from ergo_cli.events.composition import compose
from ergo_cli.events.external import Context
from ergo_cli.programs.graph.compiler import GraphPass, graph_pass
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.programs.graph.termination import termination_of
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome, RunTermination

_COMPLETED = Outcome.COMPLETED  # looking up a member of an enumeration is felt once an event


class GraphInvoker:
    """Runs episodes of one graph program and keeps the effects of the last attempt until they are drained (HST-4).

    Given the error that kept a program from being made, or an adapter that does not fit, every run fails with
    ValidationFailed. ``last_error`` is what made the last run fail, if it did.
    """

    def __init__(self, program: GraphProgram | RuleError, provides: Provides | None = None) -> None:
        runnable = _runnable(program, provides)
        self._pass, self._unfit = (None, runnable) if isinstance(runnable, ErgoError) else (runnable, None)
        self._effects: list[ProducedEffect] = []
        self._run_calls = 0
        self.last_error: ErgoError | None = None

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """One pass over the event's context. Replaces the pending effects, by none unless it completes."""
        self._run_calls += 1
        self._effects = []
        self.last_error = None
        if deadline == 0:
            return Outcome.ABORTED
        if self._pass is None:
            self.last_error = self._unfit
            return Failed(ErrKind.VALIDATION_FAILED)
        try:
            self._effects = self._pass(context.values, graph_id, event_id)
        except RuleError as error:
            self.last_error = error
            return termination_of(error)
        return _COMPLETED

    @property
    def run_calls(self) -> int:
        """How many times ``run`` was called."""
        return self._run_calls

    @property
    def pending(self) -> int:
        """How many effects wait to be drained."""
        return len(self._effects)

    def drain_rendered(self) -> list[ProducedEffect]:
        """The effects of the last attempt, in program order; empties the buffer."""
        effects, self._effects = self._effects, []
        return effects

    def drain(self) -> list[Effect]:
        """The same as values."""
        return [produced.effect for produced in self.drain_rendered()]


def _runnable(program: GraphProgram | RuleError, provides: Provides | None) -> GraphPass | ErgoError:
    if isinstance(program, RuleError):
        return program
    if provides is not None:
        faults = compose(provides, program.declared_sources(), program.declared_actions())
        if faults:
            return headline(faults)
    return graph_pass(program.validated, program.inventory)

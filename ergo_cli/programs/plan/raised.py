"""Why runs fail, for people: what a handler raised is kept beside the recorded failure, which has no traceback."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Iterable

from msgspec.structs import replace

from ergo_cli.programs.plan.context import Context
from ergo_cli.programs.plan.errors import Failure, PlanError, RunError
from ergo_cli.programs.plan.errors import State as StateForm
from ergo_cli.programs.plan.events import Envelope, StateEntered, StateFailed
from ergo_cli.programs.plan.facts import FactIo
from ergo_cli.programs.plan.manifest import RunManifest
from ergo_cli.programs.plan.program import PlanProgram
from ergo_cli.programs.plan.recorder import Recorder
from ergo_cli.programs.plan.secrets import is_suspicious
from ergo_cli.programs.plan.states import ExecutionPlan, HandlerResult, State, StateOutcome


class Raised:
    """Resolves the plans of a program, their handlers watched; keeps what that of each state raised last."""

    def __init__(self, program: PlanProgram) -> None:
        self._program = program
        self._raised: dict[str, BaseException] = {}

    def forget(self) -> None:
        """Forget what was raised."""
        self._raised.clear()

    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        """As the program. Raises RunError."""
        return self.watched(self._program.resolve(manifest))

    def watched(self, plan: ExecutionPlan) -> ExecutionPlan:
        """The plan, its handlers watched."""
        return replace(plan, states=tuple(map(self._watched, plan.states)))

    def failure(self, stream: Iterable[Envelope]) -> RunError | None:
        """Why a run failed: its last failure with the place in the stream, what was raised as its cause."""
        attempt, failed, raised = "", None, None
        for envelope in stream:
            match envelope.kernel:
                case StateEntered(state_id, number, _):
                    attempt = f"{state_id}#{number}"
                case StateFailed(state_id, failure, _):
                    raised = self._raised.get(state_id)
                    failed = RunError(StateForm(failure), where=f"run '{envelope.run_id}' {attempt}")
                case _:
                    pass
        if failed is None or raised is None:
            return failed
        refused = [error for error in (raised.__cause__, raised) if _refuses_secret(error)]
        if refused and failed.info.code == "secrets_detected":
            named = replace(failed.info, message=str(refused[0]))  # the record leaves the name out
            return RunError(StateForm(Failure(None, named)), where=failed.where)
        if not is_suspicious(str(raised)):
            failed.__cause__ = raised
        return failed

    def note(self, state_id: str, error: Exception) -> None:
        """Take an error that the engine raised on behalf of the handler of a state."""
        self._raised[state_id] = error

    def _watched(self, state: State) -> State:
        def handle(ctx: Context, io: FactIo, rec: Recorder) -> HandlerResult:
            try:
                result = state.handle(ctx, io, rec)
            except (Exception, SystemExit) as error:
                self._raised[state.id] = error
                raise
            self._raised.pop(state.id, None)
            return self._awaited(state.id, result) if inspect.isawaitable(result) else result

        return replace(state, handle=handle)

    async def _awaited(self, state_id: str, result: Awaitable[StateOutcome | None]) -> StateOutcome | None:
        try:
            outcome = await result
        except (Exception, SystemExit) as error:
            self._raised[state_id] = error
            raise
        self._raised.pop(state_id, None)
        return outcome


def _refuses_secret(error: BaseException | None) -> bool:
    return isinstance(error, PlanError) and error.info.code == "secrets_detected"

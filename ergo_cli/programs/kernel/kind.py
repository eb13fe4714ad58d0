"""The kernel kind: programs that act while they run and record their actions, run by run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.json import JsonValue
from ergo_cli.core.wire import FreeValue
from ergo_cli.errors import EgressError, ProjectError
from ergo_cli.events.external import HostedEvent
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.kernel.calls import RunIdRule
from ergo_cli.programs.kernel.differences import journal_differences
from ergo_cli.programs.kernel.engine.actions import Action, ActionCall, Executor
from ergo_cli.programs.kernel.engine.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    Interrupted,
    Resumed,
    SequencedEvent,
    StateUpdated,
)
from ergo_cli.programs.kernel.engine.policy import deadline_exceeded
from ergo_cli.programs.kernel.invoker import KernelInvoker
from ergo_cli.programs.kernel.kept_runs import KernelRuns
from ergo_cli.programs.kernel.program import KernelProgram
from ergo_cli.programs.kernel.recorded import KernelEpisode, KernelReader
from ergo_cli.programs.kernel.referee import KernelReferee
from ergo_cli.programs.kernel.signatures import check_executor, check_functions, check_pure_functions
from ergo_cli.programs.kind import Asked, Line
from ergo_cli.programs.parts import Part, Reach
from ergo_cli.programs.recorded import Episode, JournalDifference
from ergo_cli.programs.seat import CallWithin, DeadlinePassed, Seat, Surroundings
from ergo_cli.stores.memory import MemoryJournal

if TYPE_CHECKING:
    from ergo_cli.programs.kernel.answered import AnsweredKernel

S = TypeVar("S")


class KernelActing(Struct, frozen=True):
    """The ``Acting`` interface of kernel programs."""

    written_as: str = "KernelProgram of ergo_cli.programs.kernel"
    runs: KernelRuns = KernelRuns()

    def live(self, program: KernelProgram[Any], load: Callable[[str], Callable[..., object]]) -> KernelProgram[Any]:
        """The program with its executor, loaded where it is named by a text."""
        if not isinstance(program.execute, str):
            return program
        execute = load(program.execute)
        check_executor(execute)
        return replace(program, execute=execute)

    def admit(self, program: KernelProgram[Any], event: HostedEvent) -> None:
        """Accept every event."""

    def invoker(self, program: KernelProgram[Any], seat: Seat) -> KernelInvoker[Any]:
        """An invoker whose runs are kept in the seat's store, if it has one."""
        assert not isinstance(program.execute, str), "a live program has its executor"
        store = seat.store
        return KernelInvoker(
            program,
            _in_time(program.execute, seat.within),
            MemoryJournal() if store is None else store.journal,
            seat.clock,
            _rule(seat.run_id),
            snapshots=None if store is None else store.snapshots,
            attempts=None if store is None else store.attempts,
            leases=None if store is None else store.leases,
            continues=seat.continues,
        )

    def answered(self, program: KernelProgram[Any]) -> AnsweredKernel[Any]:
        """An invoker that is answered from a recording."""
        from ergo_cli.programs.kernel.answered import AnsweredKernel  # imported here: only a new recording needs it

        return AnsweredKernel(program)

    def reader(self, artifacts: Mapping[str, bytes]) -> KernelReader:
        """A reader for the journals of one bundle."""
        return KernelReader(artifacts)

    def line(self, record: bytes) -> Line:
        """One event of a run for readers: its step or action, what it sent, what it received."""
        sequenced: SequencedEvent = wire.decode(record, SequencedEvent)
        place, inputs, outputs = _parts(sequenced)
        return Line(
            id=str(sequenced.seq), path=place, impl=sequenced.kind, family="event", inputs=inputs, outputs=outputs
        )

    def compare(self, a: Episode, b: Episode, own_runs: tuple[str, str]) -> Iterable[JournalDifference]:
        """The first record that differs of each call, states and endings."""
        assert isinstance(a, KernelEpisode)
        assert isinstance(b, KernelEpisode)
        return journal_differences(a, b, own_runs)

    def parts(self, program: KernelProgram[Any], episode: Episode) -> Sequence[str]:
        """The numbers of the run's records, its steps and actions, the members of its states."""
        from ergo_cli.programs.kernel.why import parts_of  # imported here: nothing else needs it

        assert isinstance(episode, KernelEpisode)
        return parts_of(program, episode)

    def why(self, program: KernelProgram[Any], episode: Episode, asked: Asked) -> Cause:
        """The record that differs, the state before it, the records that wrote its members, what they answered."""
        from ergo_cli.programs.kernel.why import cause_of  # imported here: nothing else needs it

        assert isinstance(episode, KernelEpisode)
        return cause_of(program, episode, asked)

    def structure(self, program: KernelProgram[Any]) -> Sequence[Part]:
        """Its functions, its policy and its limits."""
        from ergo_cli.programs.kernel.structure import structure_of  # only captures and changed programs need it

        return structure_of(program)

    def reach(self, program: KernelProgram[Any]) -> Reach:
        """The functions that made a record or a state."""
        from ergo_cli.programs.kernel.structure import functions_behind  # only changed programs need it

        return functions_behind


class KernelKind(Struct, frozen=True):
    """Step functions whose runs are logs of events (spec 40)."""

    name: str = "kernel"
    tag: str = "kpv1"
    computing: None = None
    acting: KernelActing = KernelActing()

    def claims(self, value: object) -> bool:
        """Whether the value is a KernelProgram."""
        return isinstance(value, KernelProgram)

    def check(self, program: KernelProgram[Any], around: Surroundings) -> tuple[Notice, ...]:
        """Refuse egress routes, which would send nothing, and run id rules that cannot name a run.

        Raises EgressError ``egress.route_unsupported``, ProjectError PRJ-INVALID, and as ``check_functions``.
        """
        if around.routed is not None:
            message = f"the program '{program.name}' acts by itself: none of its intents goes to an egress channel"
            fix = "leave the egress configuration out; let `execute` reach the channel's program"
            raise EgressError("egress.route_unsupported", message, where="egress configuration", fix=fix)
        _rule(around.run_id)
        check_functions(program)
        return ()

    def referee(
        self, program: KernelProgram[S], recorded: KernelProgram[S] | None, deadline: int | None
    ) -> KernelReferee[S]:
        """Make every recorded call again; the recorded program is not needed.

        Raises as ``check_functions``, but for the executor, which is not called.
        """
        check_pure_functions(program)
        return KernelReferee(program)


KIND = KernelKind()


def _rule(text: str | None) -> RunIdRule:
    try:
        return RunIdRule.of(text)
    except ValueError as error:
        fix = 'write run_id = "name", or "$payload.member"'
        raise ProjectError("PRJ-INVALID", f"key 'run_id' is wrong: {error}", where="run_id", fix=fix) from error


def _in_time(execute: Executor, within: CallWithin) -> Executor:
    """Limit an executor to the deadline of each call.

    Past it, raises KernelError ``kernel.deadline``. Without a deadline it runs on the calling thread.
    """

    def execute_in_time(action: Action, call: ActionCall) -> FreeValue:
        if call.remaining is None:
            return execute(action, call)
        try:
            return within(call.remaining, lambda: execute(action, call), call.action_id)
        except DeadlinePassed:
            raise deadline_exceeded() from None

    return execute_in_time


def _parts(event: SequencedEvent) -> tuple[str, Mapping[str, JsonValue], Mapping[str, JsonValue]]:
    match event.event:
        case StateUpdated(step_id, payload):
            return step_id or "", {}, {"payload": payload}
        case ActionRequested(action_id, payload):
            return action_id, {"payload": payload}, {}
        case ActionSucceeded(action_id, output):
            return action_id, {}, {"output": output}
        case ActionFailed(action_id, error):
            return action_id, {}, {"error": error}
        case Interrupted(value):
            return "", {"value": value}, {}
        case Resumed(value):
            return "", {}, {"value": value}
        case _:
            return "", {}, {}

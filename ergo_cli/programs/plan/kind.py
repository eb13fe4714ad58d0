"""The plan kind: resumable plans of states, whose runs are streams of events (spec 50)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, cast

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import EgressError, ProjectError, StepError
from ergo_cli.events.external import HostedEvent
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.kind import Asked, Line
from ergo_cli.programs.parts import Part, Reach
from ergo_cli.programs.plan.checks import check_plan
from ergo_cli.programs.plan.differences import journal_differences
from ergo_cli.programs.plan.effects import IO
from ergo_cli.programs.plan.events import read_line
from ergo_cli.programs.plan.facts import Transport
from ergo_cli.programs.plan.invoker import PlanInvoker
from ergo_cli.programs.plan.kept_runs import PlanRuns
from ergo_cli.programs.plan.program import PlanProgram
from ergo_cli.programs.plan.record_lines import parts_of
from ergo_cli.programs.plan.recorded import PlanEpisode, PlanReader
from ergo_cli.programs.plan.referee import PlanReferee
from ergo_cli.programs.plan.secrets import find_secret
from ergo_cli.programs.recorded import Episode, JournalDifference
from ergo_cli.programs.seat import Seat, Surroundings
from ergo_cli.stores.memory import MemoryArtifacts, MemoryJournal

if TYPE_CHECKING:
    from ergo_cli.programs.plan.answered import AnsweredPlan


class PlanActing(Struct, frozen=True):
    """The ``Acting`` interface of plan programs."""

    written_as: str = "PlanProgram of ergo_cli.programs.plan"
    runs: PlanRuns = PlanRuns()

    def live(self, program: PlanProgram, load: Callable[[str], Callable[..., object]]) -> PlanProgram:
        """The program with its transports, loaded where they are named by a text."""
        loaded = {
            group: cast(Transport, load(found)) if isinstance(found, str) else found
            for group, found in program.transports.items()
        }
        return replace(program, transports=loaded)

    def admit(self, program: PlanProgram, event: HostedEvent) -> None:
        """Refuse an event whose payload holds what looks like a secret: it would be recorded.

        Raises StepError ``plan.secrets_detected``, which names the place and never the value.
        """
        place = find_secret(event.payload, program.allowed_names)
        if place is not None:
            message = f"the payload of event '{event.event_id}' holds what looks like a secret at '{place or '/'}'"
            fix = "leave it out, or put the name into the program's allowed_names if it is none"
            error = StepError("Payload", message, where=f"event '{event.event_id}'", fix=fix)
            error.code = "plan.secrets_detected"
            raise error

    def invoker(self, program: PlanProgram, seat: Seat) -> PlanInvoker:
        """An invoker whose runs are kept in the seat's store, if it has one."""
        store = seat.store
        return PlanInvoker(
            program,
            MemoryJournal() if store is None else store.journal,
            MemoryArtifacts() if store is None else store.artifacts,
            seat,
            MemoryJournal() if store is None else store.attempts,
        )

    def answered(self, program: PlanProgram) -> AnsweredPlan:
        """An invoker that is answered from a recording."""
        from ergo_cli.programs.plan.answered import AnsweredPlan  # imported here: only a new recording needs it

        return AnsweredPlan(program)

    def reader(self, artifacts: Mapping[str, bytes]) -> PlanReader:
        """A reader for the journals of one bundle."""
        return PlanReader(artifacts)

    def line(self, record: bytes) -> Line:
        """One event of a run for readers: its state or the key of its fact, and its fields."""
        envelope = read_line(record)
        name, place, fields = parts_of(envelope)
        return Line(id=str(envelope.seq), path=place, impl=name, family="event", outputs=fields)

    def compare(self, a: Episode, b: Episode, own_runs: tuple[str, str]) -> Iterable[JournalDifference]:
        """The records that differ of each call and each child, up to the first that decides otherwise."""
        assert isinstance(a, PlanEpisode)
        assert isinstance(b, PlanEpisode)
        return journal_differences(a, b, own_runs)

    def parts(self, program: PlanProgram, episode: Episode) -> Sequence[str]:
        """States, keys of their contexts, facts, the numbers of the run's records."""
        from ergo_cli.programs.plan.why import parts_of  # imported here: nothing else needs it

        assert isinstance(episode, PlanEpisode)
        return parts_of(episode)

    def why(self, program: PlanProgram, episode: Episode, asked: Asked) -> Cause:
        """The event that differs, the state that made it, what that read, and the states and facts that wrote it."""
        from ergo_cli.programs.plan.why import cause_of  # imported here: nothing else needs it

        assert isinstance(episode, PlanEpisode)
        return cause_of(program, episode, asked)

    def structure(self, program: PlanProgram) -> Sequence[Part]:
        """Its states, the edges to them, what they say about themselves; how its runs are driven."""
        from ergo_cli.programs.plan.structure import structure_of  # only captures and changed programs need it

        return structure_of(program)

    def reach(self, program: PlanProgram) -> Reach:
        """The state of an attempt, those that run before it, and one that was recorded in its place."""
        from ergo_cli.programs.plan.structure import StatesBehind  # only changed programs need it

        return StatesBehind(program)


class PlanKind(Struct, frozen=True):
    """Plans whose runs are streams of attempts (spec 50)."""

    name: str = "plan"
    tag: str = "ppv1"
    computing: None = None
    acting: PlanActing = PlanActing()

    def claims(self, value: object) -> bool:
        """Whether the value is a PlanProgram."""
        return isinstance(value, PlanProgram)

    def check(self, program: PlanProgram, around: Surroundings) -> tuple[Notice, ...]:
        """Refuse any egress route but that of ``io``, run id rules, which do not apply, and a plan that cannot run.

        Raises EgressError ``egress.route_unsupported``, ProjectError PRJ-INVALID, and as ``check_plan``.
        """
        if around.routed is not None:
            _check_routes(program, around.routed)
        if around.run_id is not None:
            message = "key 'run_id' is wrong: every event of a plan has a run of its own"
            raise ProjectError("PRJ-INVALID", message, where="run_id", fix="leave run_id out")
        check_plan(program)
        if around.routed is not None and not program.effectful:
            return (Notice(f"egress route declared for non-emittable kind '{IO}'"),)
        return ()

    def referee(self, program: PlanProgram, recorded: PlanProgram | None, deadline: int | None) -> PlanReferee:
        """Make every recorded call again; the recorded program is not needed. Raises as ``check_plan``."""
        check_plan(program)
        return PlanReferee(program)


def _check_routes(program: PlanProgram, routed: Set[str]) -> None:
    """Raise EgressError ``egress.route_unsupported`` unless ``io``, the kind of all its intents, is what is routed."""
    if routed == {IO}:
        return
    named = ", ".join(f"'{kind}'" for kind in sorted(routed - {IO}))
    wrong = f"not {named}" if named else f"and '{IO}' is not routed"
    message = f"the intents of the program '{program.graph_id}' are of the kind '{IO}', {wrong}"
    fix = f"let [routes.{IO}] be the only route, or leave the egress configuration out"
    raise EgressError("egress.route_unsupported", message, where="egress configuration", fix=fix)


KIND = PlanKind()

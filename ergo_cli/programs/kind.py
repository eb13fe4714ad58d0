"""The interface between ergo and a kind of program (spec 00 §13.1).

A kind either computes, and the host realises the effects of its episodes, or it acts: its programs touch the world
while they run and record that in journals. ``computing`` or ``acting`` holds the members specific to such kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from msgspec import Struct

from ergo_cli.core.code_places import CodePlace
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.json import JsonValue
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.external import Context, HostedEvent
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.changes import Change
from ergo_cli.programs.recorded import Episode, JournalDifference, JournalReader
from ergo_cli.programs.runs import RunTools
from ergo_cli.programs.seat import Seat, Surroundings
from ergo_cli.programs.wiring import Wiring
from ergo_cli.supervisor.journals import StatefulInvoker
from ergo_cli.supervisor.seam import EffectfulInvoker, RunTermination

P = TypeVar("P")
P_contra = TypeVar("P_contra", contravariant=True)


class Kind(Protocol[P]):
    """One kind of program; ``P`` is the type of its programs' values."""

    @property
    def name(self) -> str:
        """The profile key, and the ``program.kind`` of v4 bundles."""
        ...

    @property
    def tag(self) -> str:
        """The prefix of its programs' fingerprints: ``kpv1``."""
        ...

    @property
    def computing(self) -> Computing[P] | None:
        """The interface of a kind whose effects the host realises; None for a kind that acts."""
        ...

    @property
    def acting(self) -> Acting[P] | None:
        """The interface of a kind that touches the world while it runs; None for a kind that computes."""
        ...

    def claims(self, value: object) -> bool:
        """Whether this Python value is a program of this kind."""
        ...

    def check(self, program: P, around: Surroundings) -> tuple[Notice, ...]:
        """Raise ErgoError unless the program can run live in its surroundings; returns warnings."""
        ...

    def referee(self, program: P, recorded: P | None, deadline: int | None) -> Referee:
        """The referee of today's program against a recording; ``recorded`` is the capture's program if known.

        ``deadline`` is that of the recording's episodes, in ns.
        """
        ...


class Computing(Protocol[P_contra]):
    """The interface of kinds whose programs compute."""

    def invoker(self, program: P_contra) -> EffectfulInvoker:
        """An invoker at its beginning."""
        ...

    def fits(self, program: P_contra, adapter: Adapter) -> None:
        """Raise AdapterError unless the adapter provides and accepts what the program needs and makes."""
        ...

    def changes(self, recorded: P_contra, today: P_contra) -> Sequence[Change]:
        """What differs between the program of a recording and today's, at its places in today's texts."""
        ...

    def why(self, program: P_contra, recorded: P_contra | None, ran: Ran, node: str) -> Cause:
        """The chain behind what a node did in an episode, recorded beside today's; ``recorded`` None: today's alone."""
        ...

    def wiring(self, program: P_contra) -> Wiring:
        """Which nodes depend on which, by their authoring paths."""
        ...

    def places(self, program: P_contra) -> Mapping[str, str]:
        """Where each node is authored, by its authoring path: ``graph.yaml:12:3 nodes.over``."""
        ...

    def maker(self, program: P_contra, effect: JsonValue) -> str | None:
        """The node that alone can make such an effect, by its authoring path; None where none or several can."""
        ...

    def files(self, program: P_contra) -> Mapping[str, str]:
        """The file of each of the program's texts, by the name under which bundles and stores keep it."""
        ...

    def contracts(self, program: P_contra) -> bytes:
        """What the program's fingerprint covers beside its texts, as JSON; empty where that is nothing."""
        ...

    def own_code(self, program: P_contra) -> Mapping[str, CodePlace]:
        """Where the code of each node is written that runs code of the user's, by its authoring path."""
        ...

    def own_names(self, program: P_contra) -> Mapping[str, str]:
        """The name of what each node runs that runs code of the user's, by its authoring path."""
        ...

    def emits(self, program: P_contra) -> frozenset[str]:
        """The effect kinds that an episode can emit."""
        ...

    def trace(self, program: P_contra, event_id: str, context: Context) -> Sequence[Line]:
        """Run one episode again to explain it; returns its nodes in execution order."""
        ...


class Acting(Protocol[P]):
    """The interface of kinds whose programs act."""

    @property
    def written_as(self) -> str:
        """What a ``module:attribute`` must name, for messages: ``KernelProgram of ergo_cli.programs.kernel``."""
        ...

    @property
    def runs(self) -> RunTools | None:
        """The operations on runs kept in a store; None for a kind that keeps none."""
        ...

    def live(self, program: P, load: Callable[[str], Callable[..., object]]) -> P:
        """Resolve the program's world-facing parts: those named by text are loaded with ``load``."""
        ...

    def admit(self, program: P, event: HostedEvent) -> None:
        """Check an event before it is recorded. Raises EventError or StepError for one that must not be."""
        ...

    def invoker(self, program: P, seat: Seat) -> StatefulInvoker:
        """An invoker at its beginning."""
        ...

    def reader(self, artifacts: Mapping[str, bytes]) -> JournalReader:
        """A reader for the journals of one bundle, whose artifacts are given by id."""
        ...

    def line(self, record: bytes) -> Line:
        """A readable form of one record that a reader accepted."""
        ...

    def compare(self, a: Episode, b: Episode, own_runs: tuple[str, str]) -> Iterable[JournalDifference]:
        """The differences of two recorded episodes, placed in ``a``; runs nothing.

        ``own_runs`` names the run of this event alone on each side: run ids that differ only so count as equal.
        """
        ...


@runtime_checkable
class SaysWhy(Protocol):
    """An ``Acting`` of a kind that can say why an episode is not as it was recorded."""

    def parts(self, program: Any, episode: Episode) -> Sequence[str]:
        """What the parts of a recorded episode are called, for ``Asked.path``."""
        ...

    def why(self, program: Any, episode: Episode, asked: Asked) -> Cause:
        """The chain behind what is asked of a recorded episode.

        There is a difference, or a path, which is one of ``parts``.
        """
        ...


class Asked(Struct, frozen=True):
    """What is asked of a recorded episode: why it differs, or else what is behind the part of it at ``path``.

    ``ran`` are the arguments that it ran with, None for what closing the program recorded, ``differences`` what the
    referee found in it, ``changes`` what differs between its program and today's. ``effects`` are its recorded ones, as
    compact JSON; ``before`` gives the episodes before it with their arguments.
    """

    ran: Ran | None
    differences: Sequence[JournalDifference] = ()
    path: str | None = None
    changes: Sequence[Change] = ()
    effects: Sequence[bytes] = ()
    before: Callable[[], Iterable[tuple[Ran, Episode]]] = tuple


class Referee(EffectfulInvoker, Protocol):
    """An invoker that runs today's program against one recording and compares the results.

    ``run`` raises SideEffectReached where the program is about to touch the world.
    """

    def serve(self, episode: Episode | None) -> None:
        """Begin the next event; ``episode`` is its recorded episode, or None."""
        ...

    def finding(self, recorded: RunTermination | None, *, strict: bool) -> Finding:
        """The differences of the episode besides its decision; ``recorded`` is the termination in its decision."""
        ...

    def blame(self, places: Sequence[EffectPlace | None], ran: Ran | None) -> Sequence[Blame]:
        """Name the part of the program behind each difference of a decision.

        A place says which effect the difference is in; ``ran`` is the episode that ran, None where none did.
        """
        ...

    def reread(self, ran: Ran) -> Attempt | None:
        """Run the episode again with numbers as the original misreads them; None where that changes nothing."""
        ...

    def close(self, closing: Episode | None) -> Iterator[JournalDifference]:
        """Close the program after the last event; returns the differences of the recorded closing entry."""
        ...


class SideEffectReached(Exception):
    """Today's program attempted a side effect in a replay; ``code`` and ``message`` describe it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Ran(Struct, frozen=True):
    """The arguments of an episode; for deferred work, those of its origin event, not of the event that served it."""

    event_id: str
    context: Context


class Finding(Struct, frozen=True):
    """What a referee found in one episode.

    ``termination`` replaces the one that the supervisor logged, where an attempt ran that was never recorded. Where
    ``effects_known`` is off, today's attempt parted from its records: nothing can be said of its effects. ``failed`` is
    how an attempt ended that failed and of which the decision keeps the recorded termination. ``excused`` differences
    count under ``--strict`` alone.
    """

    differences: Sequence[JournalDifference] = ()
    termination: RunTermination | None = None
    effects_known: bool = True
    failed: RunTermination | None = None
    excused: Sequence[JournalDifference] = ()


class EffectPlace(Struct, frozen=True):
    """An effect that differs: its index on its side; ``missing`` holds it where the recording alone has it.

    ``is_moved``: both sides have the same effects, and it is the first of them that stands elsewhere.
    """

    index: int
    missing: JsonValue = None
    is_missing: bool = False
    is_moved: bool = False


class Blame(Struct, frozen=True):
    """The part of the program behind a difference, by its authoring path; None where it cannot be known.

    ``node`` made the value; ``origin`` is the first part upstream of it whose output differs from the recorded
    program's.
    """

    node: str | None = None
    origin: str | None = None


class Attempt(Struct, frozen=True):
    """How one attempt ended, and the compact JSON of its effects."""

    termination: RunTermination
    effects: tuple[bytes, ...]


class Line(Struct, frozen=True, kw_only=True):
    """A node of an episode, or a record of its journal, for people and reports.

    ``id`` is empty for a record that has no number of its own: it gets that of its place in the run, from 1.
    ``effects`` holds the compact JSON of what the node wants done, ``place`` the user's line where the node failed.
    ``why`` says why it did not run, or of one that ran that it failed, and with what. ``origin`` is the place of the
    payload that a source reads, where an adapter gives its context key one.
    """

    id: str
    path: str
    impl: str
    family: str
    params: Mapping[str, JsonValue] = {}
    inputs: Mapping[str, JsonValue] = {}
    outputs: Mapping[str, JsonValue] = {}
    ran: bool = True
    why: str | None = None
    effects: tuple[bytes, ...] = ()
    place: CodePlace | None = None
    origin: str | None = None

    @property
    def has_failed(self) -> bool:
        """Whether it ended its episode."""
        return self.ran and self.why is not None

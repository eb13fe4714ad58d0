"""What the host must know of the kinds of programs; nothing else of it asks for the kind (spec 00 §13.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from ergo_cli.bundle.schema import ProgramRecord
from ergo_cli.bundle.sink import BundleSink
from ergo_cli.core.notices import Notice
from ergo_cli.core.program_source import ProgramSource
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.hosted import HostedEvent
from ergo_cli.host.egress.config import EgressConfig
from ergo_cli.host.preparation import PreparedRun
from ergo_cli.host.stopping import StopHandle
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.project.finding import Program
from ergo_cli.supervisor.log import DecidedEffects, Decision
from ergo_cli.supervisor.seam import RunTermination

if TYPE_CHECKING:
    from ergo_cli.host.running import World


class Decided(Protocol):
    """What a step came to, as far as every run counts it."""

    @property
    def decision(self) -> Decision:
        """What the supervisor made of the event."""
        ...

    @property
    def termination(self) -> RunTermination | None:
        """How the episode ended, if one was run."""
        ...


class Stepper(Protocol):
    """Takes the events of a run one after the other."""

    def step(self, event: HostedEvent) -> Decided:
        """Run one event. Raises StepError, DispatchFailure among them, and CaptureWriteError."""
        ...


class BatchStepper(Stepper, Protocol):
    """A stepper that is faster with many events at a time."""

    def steps(
        self,
        events: Sequence[HostedEvent],
        taken: list[DecidedEffects],
        on_step: Callable[[], None] | None,
        stop: StopHandle,
    ) -> None:
        """Run events one after the other, until ``stop`` says so, adding to what was ``taken``; keep them together.

        ``on_step`` is called after each. Raises as ``step``.
        """
        ...


class Engaged(Struct, frozen=True):
    """A program at work; ``close`` is told after the last event whether the run ended before its events did.

    ``lane`` is the runner itself where nobody minds that events are kept some at a time, and none if a step fails.
    """

    runner: Stepper
    close: Callable[[bool], None]
    lane: BatchStepper | None = None


class Hosting(Protocol):
    """How the host runs programs of one kind: an implementation for each."""

    @property
    def is_stateful(self) -> bool:
        """Whether the program touches the world while it runs, and keeps runs of its own."""
        ...

    def check(self, adapter: Adapter | None, egress: EgressConfig | None) -> tuple[Notice, ...]:
        """Raise ErgoError unless the program fits what is around it; what is only odd is returned."""
        ...

    def live(self) -> Program:
        """The program with everything imported that only a live run needs. Raises ProgramError."""
        ...

    def record(self, sources: tuple[ProgramSource, ...], *, embed: bool) -> ProgramRecord | None:
        """The program as a v4 bundle has it; None where the bundle is v3. ``sources`` are those it was found by."""
        ...

    def engage(self, run: PreparedRun, sink: BundleSink, world: World) -> Engaged:
        """A runner at its beginning, recording into ``sink``."""
        ...


def hosting(program: Program, run_id: str | None = None) -> Hosting:
    """How the host runs ``program``; ``run_id`` is the profile's rule of that name."""
    if isinstance(program, GraphProgram):
        from ergo_cli.host.graphs import GraphHosting

        return GraphHosting(program)
    from ergo_cli.host.kernels import KernelHosting  # graph programs do not pay for the import

    return KernelHosting(program, run_id)

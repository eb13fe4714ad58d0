"""The gates of the stages' outputs: a writer without credit waits until its readers have followed (spec 60 §19.3).

A window limits an edge. Edges into a stage that takes its inputs in a fixed order have none: such a stage may have to
leave one upstream stage waiting until another one writes, and a limit could then hold both up for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from ergo_cli.programs.pipeline.asyncio_driver.waiting import Bell
from ergo_cli.programs.pipeline.authoring import Join
from ergo_cli.programs.pipeline.credit import Credit
from ergo_cli.programs.pipeline.errors import PipelineError
from ergo_cli.programs.pipeline.idle_backoff import BLOCKED_CAP_MS, IdleBackoff
from ergo_cli.programs.pipeline.ids import StageId
from ergo_cli.programs.pipeline.program import EdgePair, PipelineProgram
from ergo_cli.programs.pipeline.stages.supervisor import StageFault
from ergo_cli.programs.pipeline.topology import Topology

NANOS_A_MS = 1_000_000


class Gate:
    """The gate of one stage."""

    def __init__(self) -> None:
        self.credit = Credit()
        self.waits = 0
        """How often the stage has waited for credit."""
        self._bell = Bell()
        self._shutdown: str | None = None

    async def reserve(self) -> None:
        """Wait for credit: woken by the readers, else looking again after 1 ms, doubled up to 50 ms (C-79)."""
        backoff = IdleBackoff(BLOCKED_CAP_MS)
        while not self.credit.reserve():
            if self._shutdown is not None:
                raise StageFault(self._shutdown)
            self._bell.hush()
            self.waits += 1
            await self._bell.wait(backoff.next_ms() * NANOS_A_MS)

    def commit(self) -> None:
        """The event is written."""
        self.credit.commit()

    def release(self) -> None:
        """The event is not written."""
        self.credit.release()

    def acknowledge(self, reader: StageId) -> None:
        """Give the credit of one event back."""
        self.credit.acknowledge(reader)
        self._bell.ring()

    def lift(self, reader: StageId | None = None) -> None:
        """Lift the limit of a reader, or all limits."""
        self.credit.lift(reader)
        self._bell.ring()

    def shut_down(self, text: str) -> None:
        """Let a stage that waits end with this text."""
        self._shutdown = text
        self._bell.ring()


class Gates:
    """The gates of all stages of a flow."""

    def __init__(self) -> None:
        self._gates: dict[StageId, Gate] = {}

    def of(self, stage: StageId) -> Gate:
        """The gate of a stage."""
        return self._gates.setdefault(stage, Gate())

    def limit(self, topology: Topology, windows: Mapping[EdgePair, int]) -> None:
        """Set the windows of edges, which are named by their stages."""
        for stage in topology.stages:
            readers = [topology.by_id[reader] for reader in topology.downstream_stages(stage.id)]
            named = {reader.id: windows.get((stage.name, reader.name)) for reader in readers}
            self.of(stage.id).credit = Credit({reader: limit for reader, limit in named.items() if limit is not None})

    def lift(self, reader: StageId | None = None) -> None:
        """Let a reader that has ended hold no writer up; without one, lift all limits."""
        for gate in self._gates.values():
            gate.lift(reader)


def bad_windows(program: PipelineProgram, windows: Mapping[EdgePair, int]) -> Iterator[PipelineError]:
    """The windows that cannot be: not of an edge, below one event, or of an edge that must have none."""
    for pair, window in windows.items():
        edge = f"edge {_named(pair)}"
        if pair not in program.edges:
            yield _invalid(edge, "belongs to no edge", "name an edge of the pipeline")
        elif type(window) is not int or window < 1:
            yield _invalid(edge, f"is {window!r}", "let it hold one event or more")
        elif takes_in_order(program, pair[1]):
            why = "leads into a stage that takes its inputs in a fixed order"
            yield _invalid(edge, why, "limit edges that lead into stages with one upstream stage")


def takes_in_order(program: PipelineProgram, reader: str) -> bool:
    """Whether a stage may leave one upstream stage waiting for another one."""
    stage = program.stage_named[reader]
    if isinstance(stage, Join):
        return not stage.live
    return stage.ordered_delivery and sum(into == reader for _, into in program.edges) > 1


def _named(pair: object) -> str:
    return " → ".join(map(repr, cast("tuple[object, ...]", pair))) if isinstance(pair, tuple) else repr(pair)


def _invalid(edge: str, why: str, fix: str) -> PipelineError:
    return PipelineError("pipeline.invalid_window", f"the window of the {edge} {why}", where=edge, fix=fix)

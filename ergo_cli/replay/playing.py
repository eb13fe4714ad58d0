"""Drives a program from a bundle's events: same supervisor, same program, nothing of the world (spec 11 §12)."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from ergo_cli.bundle.rehydrate import rehydrate
from ergo_cli.bundle.schema import NO_ADAPTER, DecisionRecord, EventRecord
from ergo_cli.core.effects import ProducedEffect
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ReplayError
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.external import Context, ExternalEvent, InvalidPayload
from ergo_cli.host.ownership import replay_owned_kinds
from ergo_cli.host.realisation import EffectSink, HostEffects, Unrealised
from ergo_cli.host.runner import HostedRunner
from ergo_cli.programs.graph.invoker import GraphInvoker
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.replay.scan import Scan
from ergo_cli.supervisor.log import Decision
from ergo_cli.supervisor.seam import RunTermination


class Played(Struct, frozen=True):
    """A decision as it came out now, and the episode that ran for it; ``context`` is None where none did."""

    record: DecisionRecord
    event_id: str
    context: Context | None


class _Witness:
    """An invoker that remembers what it was asked to run: deferred work runs under its own event's id and context."""

    def __init__(self, invoker: GraphInvoker) -> None:
        self._invoker = invoker
        self.event_id = ""
        self.context: Context | None = None

    @property
    def run_calls(self) -> int:
        return self._invoker.run_calls

    @property
    def pending(self) -> int:
        return self._invoker.pending

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        self.event_id, self.context = event_id, context
        return self._invoker.run(graph_id, event_id, context, deadline)

    def drain_rendered(self) -> list[ProducedEffect]:
        return self._invoker.drain_rendered()


def play(scan: Scan, program: GraphProgram, adapter: Adapter | None, numbers: Numbers) -> Iterator[Played]:
    """Every decision of the bundle's events, in order, made anew under the bundle's own constraints.

    Raises ReplayError ``replay.event_rehydrate_failed`` for a payload from which no event can be built and StepError
    for an effect that cannot be realised.
    """
    witness = _Witness(GraphInvoker(program))
    effects = _effect_sink(scan, program, adapter)
    constraints = scan.reader.header.constraints
    runner = HostedRunner(program.graph_id, constraints, witness, adapter, effects, None)
    for record in scan.reader.events():
        decided = runner.replay_step(rehydrated(record, numbers)).record
        ran = decided.decision is Decision.INVOKE
        yield Played(decided, witness.event_id, witness.context if ran else None)


def _effect_sink(scan: Scan, program: GraphProgram, adapter: Adapter | None) -> EffectSink:
    if adapter is None and scan.reader.adapter_provenance != NO_ADAPTER:
        return Unrealised()
    return HostEffects(adapter, replay_owned_kinds(program, adapter))


def rehydrated(record: EventRecord, numbers: Numbers) -> ExternalEvent:
    """The event of a record. Raises ReplayError ``replay.event_rehydrate_failed``, ``replay.hash_mismatch``."""
    try:
        return rehydrate(record, numbers)
    except InvalidPayload as error:
        raise ReplayError(
            "replay.event_rehydrate_failed",
            f"event '{record.event_id}' cannot be rebuilt from its payload: {error}",
            where=f"event '{record.event_id}'",
            fix="restore the bundle from where it was captured; its payload is not what a run records",
            details=(str(error),),
        ) from error

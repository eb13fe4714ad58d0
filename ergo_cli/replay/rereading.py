"""Whether a difference comes of numbers alone: one episode run again as the original misreads them (spec 10 §4)."""

from __future__ import annotations

from msgspec.structs import replace

from ergo_cli.bundle.schema import CapturedEffect, DecisionRecord
from ergo_cli.core.numbers import Numbers
from ergo_cli.events.external import Context, EventKind, ExternalEvent, InvalidPayload
from ergo_cli.programs.graph.invoker import GraphInvoker
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.replay.playing import Played


class Rereading:
    """Runs single episodes under ``--numbers original``."""

    def __init__(self, program: GraphProgram, deadline: int | None) -> None:
        self._graph_id = program.graph_id
        self._invoker = GraphInvoker(program)
        self._deadline = deadline

    def decision(self, played: Played) -> DecisionRecord | None:
        """The decision as the original's numbers make it; None where they are the same, or nothing ran."""
        context = _reread(played)
        if context is None:
            return None
        termination = self._invoker.run(self._graph_id, played.event_id, context, self._deadline)
        effects = tuple([CapturedEffect.rendered(effect.text) for effect in self._invoker.drain_rendered()])
        return replace(played.record, termination=termination, effects=effects)


def _reread(played: Played) -> Context | None:
    if played.context is None:
        return None
    payload = played.context.payload
    try:
        event = ExternalEvent.with_payload(played.event_id, EventKind.PUMP, 0, payload, Numbers.ORIGINAL)
    except InvalidPayload:
        return None
    return None if repr(event.context.values) == repr(played.context.values) else event.context

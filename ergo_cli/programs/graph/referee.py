"""Compare today's graph with a recording: find the node that made a differing effect, and where the programs differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from ergo_cli.core.numbers import Numbers
from ergo_cli.events.external import Context, InvalidPayload, reread
from ergo_cli.programs.graph.makers import only_maker
from ergo_cli.programs.graph.program import GraphInvoker, GraphProgram
from ergo_cli.programs.graph.run.interpreter import Interpreter, NodeTrace
from ergo_cli.programs.kind import Attempt, Blame, EffectPlace, Finding, Ran
from ergo_cli.programs.recorded import Episode, JournalDifference
from ergo_cli.programs.wiring import Wiring
from ergo_cli.supervisor.seam import RunTermination


class GraphReferee:
    """Runs the compiled graph; traces an episode where its decision differs."""

    def __init__(self, program: GraphProgram, recorded: GraphProgram | None, deadline: int | None) -> None:
        self._program = program
        self._recorded = recorded
        self._deadline = deadline
        self._invoker = GraphInvoker(program)
        self.run = self._invoker.run
        self.drain_rendered = self._invoker.drain_rendered
        self._today = _Tracer(program)
        self._before = None if recorded is None else _Tracer(recorded)

    def serve(self, episode: Episode | None) -> None:
        """Do nothing: graphs record no journals."""

    @property
    def run_calls(self) -> int:
        """How many times ``run`` was called."""
        return self._invoker.run_calls

    @property
    def last_error(self) -> BaseException | None:
        """What made the last run fail, if it did."""
        return self._invoker.last_error

    @property
    def pending(self) -> int:
        """The number of effects not drained yet."""
        return self._invoker.pending

    def finding(self, recorded: RunTermination | None, *, strict: bool) -> Finding:
        """Return an empty finding: a graph's results are all in its decision."""
        return Finding()

    def close(self, closing: Episode | None) -> Iterator[JournalDifference]:
        """Return no differences: graphs record nothing on closing."""
        return iter(())

    def blame(self, places: Sequence[EffectPlace | None], ran: Ran | None) -> Sequence[Blame]:
        """The action that made each effect, and the first node upstream of it whose output differs."""
        today = [] if ran is None else self._today.trace(ran)
        before = None if ran is None or self._before is None else self._before.trace(ran)
        changed = [] if before is None else _changed(before, today)
        ended = None if before is None else _ended_by(today) or _ended_by(before)
        makers = [self._maker(place, before, today) for place in places]
        return [Blame(maker, self._origin(changed, maker or ended)) for maker in makers]

    def reread(self, ran: Ran) -> Attempt | None:
        """The pass over the context that the original, misreading numbers, would have had (spec 10 §4)."""
        context = _misread(ran)
        if context is None:
            return None
        again = self._second
        termination = again.run(self._program.graph_id, ran.event_id, context, self._deadline)
        return Attempt(termination, tuple(effect.text for effect in again.drain_rendered()))

    @cached_property
    def _second(self) -> GraphInvoker:
        """A second invoker, so that the effects of the actual episode are unchanged."""
        return GraphInvoker(self._program)

    def _maker(self, place: EffectPlace | None, before: list[NodeTrace] | None, today: list[NodeTrace]) -> str | None:
        """The action behind an effect: in today's pass, or for a missing one in the recorded program's.

        Of several with the same effect it is one that does not have it on the other side.
        """
        if place is None:
            return None
        now = _made(today)
        if before is None:
            return only_maker(self._program, place.missing) if place.is_missing else _path_at(now, place.index)
        was = _made(before)
        if place.is_moved:
            return _own_maker(now, place.index, was) or self._moved(now, was)
        if place.is_missing:
            return _own_maker(was, place.index, now) or _path_at(was, place.index)
        return _own_maker(now, place.index, was) or _path_at(now, place.index)

    def _moved(self, now: list[Made], was: list[Made]) -> str | None:
        """The first action with another place among the others, of those behind a node that is fed by others."""
        moved = [path for (path, _), (other, _) in zip(now, was, strict=False) if path != other]
        return next((path for path in moved if self._wiring.depends(path, self._rewired)), next(iter(moved), None))

    @cached_property
    def _rewired(self) -> Sequence[str]:
        """The nodes that other nodes feed than at the capture, and those that are new."""
        assert self._recorded is not None
        was, now = (_feeding(program) for program in (self._recorded, self._program))
        return [path for path, sources in now.items() if was.get(path) != sources]

    def _origin(self, changed: list[str], maker: str | None) -> str | None:
        """The first changed node that feeds ``maker``; the first of all if today's program has no such node."""
        if maker is None or maker not in self._wiring:
            return next(iter(changed), None)
        return next((path for path in changed if self._wiring.depends(maker, (path,))), None)

    @cached_property
    def _wiring(self) -> Wiring:
        return self._program.wiring()


class _Tracer:
    """One program, made ready for tracing when it is first asked."""

    def __init__(self, program: GraphProgram) -> None:
        self._program = program

    @cached_property
    def _interpreter(self) -> Interpreter:
        return Interpreter(self._program.validated, self._program.inventory)

    def trace(self, ran: Ran) -> list[NodeTrace]:
        return self._interpreter.trace(ran.context.values, self._program.graph_id, ran.event_id)


def _misread(ran: Ran) -> Context | None:
    try:
        context = reread(ran.context, Numbers.ORIGINAL)
    except InvalidPayload:
        return None
    return None if repr(context.values) == repr(ran.context.values) else context


def _feeding(program: GraphProgram) -> dict[str, frozenset[str]]:
    """The nodes that feed each node."""
    nodes = program.validated.nodes.values()
    return {node.node.path: frozenset(wire.producer.path for wire in node.inbound) for node in nodes}


Made = tuple[str, str]
"""An effect as a text, behind the path of the action that made it."""


def _made(traces: list[NodeTrace]) -> list[Made]:
    """The effects of a pass in their order; none of one that failed."""
    if any(node.has_failed for node in traces):
        return []
    return [(node.path, repr(effect)) for node in traces for effect in node.effects]


def _ended_by(traces: list[NodeTrace]) -> str | None:
    """The node that made a pass fail."""
    return next((node.path for node in traces if node.has_failed), None)


def _path_at(made: list[Made], index: int) -> str | None:
    return made[index][0] if index < len(made) else None


def _own_maker(made: list[Made], index: int, others: list[Made]) -> str | None:
    """An action that makes the effect at ``index``, and not on the other side: that of the index before others."""
    if index >= len(made):
        return None
    equal = (each for each in (made[index], *made) if each[1] == made[index][1])
    return next((path for path, effect in equal if (path, effect) not in others), None)


def _changed(before: list[NodeTrace], today: list[NodeTrace]) -> list[str]:
    """The nodes, in today's order, whose outputs are not those of the recorded program's node of their name."""
    recorded = {node.path: repr(node.outputs) for node in before}
    return [node.path for node in today if recorded.get(node.path) != repr(node.outputs)]

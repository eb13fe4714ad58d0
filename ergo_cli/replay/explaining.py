"""One episode of a bundle, run again node by node (spec 00 §7, §12.8)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import DecisionRecord
from ergo_cli.core.notices import Notice
from ergo_cli.core.numbers import Numbers
from ergo_cli.programs.graph.execution import NodeTrace, trace
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.replay.decided import Decided, find_decision
from ergo_cli.replay.playing import rehydrated
from ergo_cli.replay.preflight import check_version


class Explanation(Struct, frozen=True):
    """A decision, and what today's program does for it, in execution order; nothing where no episode ran.

    ``remark`` says what the nodes do not: why there are none, or for which deferred event they ran.
    """

    seq: int
    record: DecisionRecord
    program: GraphProgram
    nodes: tuple[NodeTrace, ...] = ()
    remark: str | None = None
    notices: tuple[Notice, ...] = ()


def explain_event(
    reader: BundleReader,
    program: GraphProgram,
    event_id: str,
    occurrence: int = 0,
    numbers: Numbers = Numbers.EXACT,
) -> Explanation:
    """The decision for an event and its episode; ``occurrence`` counts earlier events of the same id, from 0.

    Raises UsageError ``cli.invalid_option_value`` for an event that the bundle does not have, ReplayError
    (``replay.unsupported_capture_version``, ``replay.hash_mismatch``, ``replay.event_rehydrate_failed``), BundleError.
    """
    check_version(reader.capture_version)
    found = find_decision(reader, event_id, occurrence)
    remark = found.remark
    if found.has_run and not program.expanded.nodes:
        remark = f"{program.graph_id} has no nodes: only the decision counts"
    return Explanation(
        found.seq,
        found.record,
        program,
        _traced(found, program, numbers) if found.has_run else (),
        remark,
        _notices(reader, program),
    )


def _traced(found: Decided, program: GraphProgram, numbers: Numbers) -> tuple[NodeTrace, ...]:
    context = rehydrated(found.origin, numbers).context
    told = trace(program.validated, program.inventory, context.values, program.graph_id, found.origin.event_id)
    return tuple(told)


def _notices(reader: BundleReader, program: GraphProgram) -> tuple[Notice, ...]:
    if reader.runtime_provenance == program.provenance:
        return ()
    sides = f"recorded '{reader.runtime_provenance}', current '{program.provenance}'"
    return (Notice(f"the program changed: the nodes show what today's does ({sides})"),)

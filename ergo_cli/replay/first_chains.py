"""What stands behind the nodes of the first decision that differs (spec 70 §2)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ergo_cli.programs.kind import Ran
from ergo_cli.replay.results import Divergence, Target


def with_chains(found: Sequence[Divergence], ran: Ran | None, target: Target) -> list[Divergence]:
    """The differences of one decision, each with the chain behind its node.

    Without, where the program computes nothing, or that of the capture is not known. ``ran`` are the arguments of the
    episode, None where none ran.
    """
    computing, program, recorded = target.program.kind.computing, target.program, target.recorded
    if computing is None or recorded is None or ran is None:
        return list(found)
    nodes = dict.fromkeys(each.node for each in found if each.node is not None)
    chains = {node: computing.why(program.value, recorded.value, ran, node) for node in nodes}
    return [each if each.node is None else replace(each, chain=chains[each.node]) for each in found]

"""Results of comparisons made by hand for tests of the HTML report, and the page of a result."""

from __future__ import annotations

from typing import Any

from ergo_cli.bundle.inspection import DecisionCounts
from ergo_cli.core.json import JsonValue
from ergo_cli.core.levels import Level
from ergo_cli.errors import ErgoError
from ergo_cli.programs.changes import Change
from ergo_cli.programs.pictures import Edge, Node, Picture, Role
from ergo_cli.replay.level_counts import LevelCounts
from ergo_cli.replay.results import BundleResult, Divergence, DivergenceKind, Outcome
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.comparisons import DIFF, REPLAY, Shown, render_comparison
from ergo_cli.report.formats.registry import Around, rendered

HOSTILE = "</script></template></title><script>owned()</script><img src=x onerror=owned()>{{ 7*7 }}{% raw %}&amp;\"'"


def divergence(
    seq: int, expected: JsonValue = "old", actual: JsonValue = "new", node: str = "hot", **members: Any
) -> Divergence:
    given = {"event_id": f"e{seq}", "kind": DivergenceKind.EFFECT_CHANGED, "path": "effects[0].writes[0].value.String"}
    return Divergence(seq=seq, episode_id=seq, expected=expected, actual=actual, node=node, **{**given, **members})


def bundle(name: str, *found: Divergence, decided: int = 0, **members: Any) -> BundleResult:
    levels = LevelCounts(*(sum(each.level is level for each in found) for level in Level))
    given = {"divergence_count": len(found), "differing": len({each.seq for each in found}), "levels": levels}
    return BundleResult(
        name,
        Outcome.DIVERGED if found else Outcome.MATCH,
        events=decided or len(found),
        decisions=DecisionCounts(decided or len(found), 0, 0),
        divergences=found,
        **{**given, **members},
    )


def result(*results: BundleResult, command: str = "replay") -> CommandResult:
    sides = DIFF if command == "diff" else REPLAY
    return render_comparison(command, results, sides, shown=Shown(accepts=command == "replay"))


def written(found: CommandResult) -> bytes:
    return rendered("html", found.report, Around(compared=found.compared))


def picture(size: int) -> Picture:
    nodes = tuple(
        Node(id=f"n{each}", path=(f"part{each}",), role=Role.COMPUTE, type="compute", impl="", runtime_id="")
        for each in range(size)
    )
    edges = tuple(Edge(f"n{each}", f"n{each + 1}") for each in range(size - 1))
    return Picture(graph_id="g", title="g", headline="g", headings=("", "", ""), nodes=nodes, edges=edges)


def hostile_results() -> list[BundleResult]:
    """A bundle that differs and one that is refused; every text of both is hostile."""
    change = Change(subject=HOSTILE, before=HOSTILE, after=HOSTILE, file=HOSTILE, line=1)
    hostile = divergence(1, {HOSTILE: HOSTILE}, HOSTILE, event_id=HOSTILE, node=HOSTILE, path=HOSTILE, changes=(0,))
    refused = BundleResult(HOSTILE, Outcome.REFUSED, ErgoError("bundle.read_failed", HOSTILE, where=HOSTILE))
    return [bundle(HOSTILE, hostile, decided=2, changes=(change,)), refused]


def several_results() -> list[BundleResult]:
    """Bundles that match, differ and are refused, with a change, a picture and what was decided before."""
    change = Change(subject="part0.value", before="105.0", after="104.0", file="graph.yaml", line=20, nodes=("part0",))
    values = {"side": "buy", "price": 104.25, "lines": [{"article": "ink"}] * 8}
    found = [
        divergence(3, values, {**values, "side": "sell"}, node="part2", changes=(0,)),
        divergence(4, None, values, node="part1", changes=(0,), kind=DivergenceKind.EFFECT_EXTRA, path="effects[1]"),
        divergence(9, node="part3", level=Level.TIMING),
    ]
    refused = BundleResult("c.json", Outcome.REFUSED, ErgoError("bundle.read_failed", "cannot be read", fix="mend it"))
    return [
        bundle("a.json", decided=8),
        bundle("b.json", *found, decided=40, changes=(change,), picture=picture(4)),
        refused,
    ]

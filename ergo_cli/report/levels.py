"""The levels of differences in text reports: said where they are not decisions, which is what most are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ergo_cli.core.levels import FailOn, Level
from ergo_cli.replay.level_counts import LevelCounts
from ergo_cli.replay.results import BundleResult, Divergence, Outcome
from ergo_cli.report.text import Line, Tone

_BELOW = {
    FailOn.DECISION: "what was decided and done is the same",
    FailOn.EVIDENCE: "nothing but times differs",
}


def level_mark(level: Level) -> str:
    """The name of a level; nothing of decisions."""
    return "" if level is Level.DECISION else level.value


def gravest_mark(divergences: Iterable[Divergence]) -> str:
    """The mark of the gravest of some divergences."""
    found = {each.level for each in divergences}
    return level_mark(next((level for level in Level if level in found), Level.DECISION))


def levels_text(levels: LevelCounts) -> Iterator[str]:
    """How many differences there are of each level, or that all are of one; nothing of decisions alone."""
    match tuple(levels.by_level.items()):
        case () | ((Level.DECISION, _),):
            return
        case ((level, _),):
            yield f"{level.value} alone"
        case several:
            yield ", ".join(f"{number:,} {level.value}" for level, number in several)


def below_gate(results: Sequence[BundleResult]) -> Iterator[Line]:
    """Why the exit code is 0 although bundles differ; nothing where they do not, or where one does not pass."""
    if any(result.outcome is Outcome.DIVERGED for result in results) and all(result.passes for result in results):
        gate = results[0].fail_on
        if gate is FailOn.ANY:
            yield Line("passes   what differs is expected", Tone.GOOD)
            return
        if any(gate.is_reached(level) for result in results for level in result.levels.by_level):
            yield Line(f"passes   below --fail-on {gate.value}, apart from what is expected", Tone.GOOD)
            return
        yield Line(f"passes   below --fail-on {gate.value}: {_BELOW[gate]}", Tone.GOOD)

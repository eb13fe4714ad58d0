"""Divergences that a project expects for a while: shown, and not counted against the gate (``[[expect]]``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.errors import ErgoError, ProjectError, ReplayError, UsageError
from ergo_cli.project.project_file import Expect, Project
from ergo_cli.replay.filters import DivergenceFilter, kind_of, pattern_of
from ergo_cli.replay.globs import Glob
from ergo_cli.replay.level_counts import LevelCounts
from ergo_cli.replay.results import WHOLE, BundleResult, Divergence, ExpectedHere, Outcome

MOST_LOOKED_AT = 100_000
"""How many divergences of a bundle are looked at where some are expected; further ones are not expected."""


class Expectation(Struct, frozen=True, dict=True):
    """One ``[[expect]]`` as a replay applies it; ``is_past``: its day is over, so that it expects nothing any more."""

    expect: Expect
    meant: DivergenceFilter
    root: Path
    is_past: bool

    @cached_property
    def bundles(self) -> frozenset[str]:
        """The real paths of the bundles that it names, as far as there are files."""
        found = Glob(lambda error: None).matches(os.path.join(self.root, self.expect.bundle))
        return frozenset(os.path.realpath(path) for path in found if os.path.isfile(path))


def expectations_of(project: Project | None, today: date | None) -> tuple[Expectation, ...]:
    """What a project expects; nothing where the day is not known.

    Raises ProjectError PRJ-INVALID for a kind that does not exist and a path that cannot be read.
    """
    if project is None or today is None:
        return ()
    return tuple(Expectation(each, _filter(each), project.root, today > each.until) for each in project.expects)


def with_expected(result: BundleResult, expectations: Sequence[Expectation], most: int) -> BundleResult:
    """The result with the divergences marked that are expected; ``most`` of all are kept."""
    if not expectations:
        return result
    place = os.path.realpath(result.path)
    counts = [0] * len(expectations)
    active = [at for at, each in enumerate(expectations) if not each.is_past and place in each.bundles]

    def marked(divergence: Divergence) -> Divergence:
        by_key = divergence.by_key and tuple(map(marked_alone, divergence.by_key))
        return replace(marked_alone(divergence), by_key=by_key)

    def marked_alone(divergence: Divergence) -> Divergence:
        found = next((at for at in active if expectations[at].meant.takes(divergence)), None)
        return divergence if found is None else replace(divergence, expected_by=found)

    divergences = tuple(map(marked, result.divergences))
    levels = dict.fromkeys(("decision", "evidence", "timing"), 0)
    for divergence in divergences:
        if divergence.expected_by is not None:
            counts[divergence.expected_by] += 1
            levels[divergence.level.value] += 1
    here = tuple(
        ExpectedHere(each.expect, place in each.bundles, each.is_past, count, tuple(sorted(each.bundles)))
        for each, count in zip(expectations, counts, strict=True)
    )
    return replace(result, divergences=divergences[:most], expects=here, expected=LevelCounts(**levels))


def unmet(results: Iterable[BundleResult], real: Callable[[str], str] = os.path.realpath) -> tuple[ErgoError, ...]:
    """An error for each expectation that is past its day, or matched nothing though all its bundles were compared.

    ``real`` gives the path by which an expectation knows the bundle with the path of a result.
    """
    compared: set[str] = set()
    known: dict[Expect, ExpectedHere] = {}
    matched: set[Expect] = set()
    for result in results:
        if result.outcome is not Outcome.REFUSED and result.window == WHOLE:
            compared.add(real(result.path))
        for here in result.expects:
            known[here.expect] = here
            matched.update((here.expect,) if here.count else ())
    errors = (_unmet(here, compared, is_matched=expect in matched) for expect, here in known.items())
    return tuple(error for error in errors if error is not None)


def _unmet(here: ExpectedHere, compared: set[str], *, is_matched: bool) -> ErgoError | None:
    expect = here.expect
    if not here.bundles:
        return _nothing(expect, f"no bundle is named '{expect.bundle}'")
    if compared.isdisjoint(here.bundles):
        return None
    if here.is_past:
        message = f"what was expected until {expect.until} is due: {expect.why}"
        fix = "mend the program or accept its decisions, then remove the table; or give it a later day"
        return ReplayError("expect.past_date", message, where=expect.where, fix=fix)
    if not is_matched and compared.issuperset(here.bundles):
        return _nothing(expect, f"no divergence is as expected: {expect.why}")
    return None


def _nothing(expect: Expect, message: str) -> ErgoError:
    return ReplayError("expect.nothing_matched", message, where=expect.where, fix="remove the table, or correct it")


def _filter(expect: Expect) -> DivergenceFilter:
    try:
        kind = None if expect.kind is None else kind_of(expect.kind, f"{expect.where}.kind")
        path = None if expect.path is None else pattern_of(expect.path, f"{expect.where}.path")
    except UsageError as error:
        raise ProjectError("PRJ-INVALID", error.message, where=error.where, fix=error.fix) from error
    return DivergenceFilter(kind, expect.node, path)

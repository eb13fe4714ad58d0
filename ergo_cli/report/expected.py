"""Render what a project expects to differ for a while (``[[expect]]``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from ergo_cli.core.diagnostics import counted
from ergo_cli.errors import ErgoError
from ergo_cli.project.project_file import Expect
from ergo_cli.replay.results import BundleResult, Divergence
from ergo_cli.report.document import ExpectDocument, unicode
from ergo_cli.report.error_text import near
from ergo_cli.report.text import Block, Line, Row, Rows, Tone

CLOSED = "closed"
"""The outcome where every bundle passes, and an expectation that does not hold any more closes the gate."""


def closed_line(unmet: Sequence[ErgoError]) -> Line:
    """The verdict where expectations alone close the gate: the first of them, and how many more there are."""
    more = f", and {counted(len(unmet) - 1, 'more expectation')}" if len(unmet) > 1 else ""
    return Line(f"closed  {near(unmet[0].where or '')}  {unmet[0].message}{more}", Tone.BAD)


def without_expected(result: BundleResult) -> BundleResult:
    """The result with the divergences alone that are not expected."""
    if not result.expected:
        return result
    left = tuple(
        each if each.by_key is None else replace(each, by_key=_not_expected(each.by_key))
        for each in result.divergences
        if each.expected_by is None
    )
    return replace(result, divergences=left)


def _not_expected(pairs: Iterable[Divergence]) -> tuple[Divergence, ...]:
    return tuple(pair for pair in pairs if pair.expected_by is None)


def expected_count(result: BundleResult) -> int:
    """How many divergences of a bundle are expected."""
    return sum(result.expected.by_level.values())


def expected_text(result: BundleResult) -> Iterator[str]:
    """How many divergences of a bundle are expected, where some are."""
    count = expected_count(result)
    if count:
        yield (
            "all expected" if count == result.divergence_count else f"{count:,} of {result.divergence_count:,} expected"
        )


def expected_lines(results: Sequence[BundleResult]) -> Iterator[Block]:
    """One line for each expectation that took something: until when, how much, why."""
    rows: list[Row] = []
    for expect, counts in _counts(results).items():
        taken = [count for count in counts if count]
        if taken:
            differences, bundles = counted(sum(taken), "difference"), counted(len(taken), "bundle")
            label = "" if rows else "expected"
            rows.append(Row((f"{label:9}", f"until {expect.until}", f"{differences} in {bundles}", expect.why)))
    if rows:
        yield Line()
        yield Rows(tuple(rows))


def expect_documents(results: Sequence[BundleResult]) -> tuple[ExpectDocument, ...]:
    """The documents of all expectations that apply to these bundles, with what each took."""
    return tuple(
        ExpectDocument(
            where=unicode(near(expect.where)),
            bundle=unicode(expect.bundle),
            kind=expect.kind,
            node=None if expect.node is None else unicode(expect.node),
            path=None if expect.path is None else unicode(expect.path),
            until=expect.until.isoformat(),
            why=unicode(expect.why),
            count=sum(counts),
        )
        for expect, counts in _counts(results).items()
    )


def _counts(results: Sequence[BundleResult]) -> dict[Expect, list[int]]:
    """For each expectation how many divergences of each bundle it took."""
    found: dict[Expect, list[int]] = {}
    for result in results:
        for here in result.expects:
            found.setdefault(here.expect, []).append(here.count)
    return found

"""What a page shows of a report, as plain values: every text whole, since the page cuts what it writes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from msgspec import UNSET

from ergo_cli.core.diagnostics import counted
from ergo_cli.replay.level_counts import LevelCounts
from ergo_cli.replay.results import BundleResult, Outcome
from ergo_cli.report.compared import Compared
from ergo_cli.report.comparisons import extent, reason_of_change
from ergo_cli.report.consequences import independent
from ergo_cli.report.document import BundleDocument, ChangeDocument, ErrorDocument, Report, warning_text
from ergo_cli.report.error_text import near, without_hashes
from ergo_cli.report.expected import CLOSED, expected_count, expected_text, without_expected
from ergo_cli.report.facts import Fact, facts, value_line
from ergo_cli.report.first_decision import FirstPlace, closer_command, episodes_before, first_place, place_text, reasons
from ergo_cli.report.formats.html.drawing import Drawing, drawing_of
from ergo_cli.report.formats.html.episode import episode_lead, episode_view
from ergo_cli.report.formats.html.lit import lit_picture
from ergo_cli.report.formats.html.sides import Pair, sides_of
from ergo_cli.report.grouping import Group, groups
from ergo_cli.report.levels import below_gate, gravest_mark, level_mark, levels_text
from ergo_cli.report.reproducing import argument
from ergo_cli.stores.files import STANDARD_INPUT

_MOST_FACTS = 40
_MOST_MEMBERS = 20
_WIDTH = 120

VERDICTS = {
    "match": "match",
    "diverged": "differs",
    "closed": "closed",
    "valid": "valid",
    "invalid": "invalid",
    "refused": "refused",
    "empty": "empty",
    "interrupted": "interrupted",
    "failed": "failed",
    "ok": "done",
}
"""The words for outcomes."""


class Tile(NamedTuple):
    """A number of the summary."""

    name: str
    value: str


class GroupRow(NamedTuple):
    """A group of divergences: ``many`` is how many, or in how many bundles."""

    many: str
    level: str
    sign: str
    node: str
    what: str
    events: str


class FactRow(NamedTuple):
    """One fact: its sign, what it says, and what made it."""

    sign: str
    text: str
    made: str


class First(NamedTuple):
    """The first decision that differs, with all that is known of why.

    ``because`` and ``before`` are lines, ``before`` with the event in front; ``seen`` are the members of the state that
    were looked at.
    """

    title: str
    level: str
    facts: Sequence[FactRow]
    more: int
    because: Sequence[str]
    before: Sequence[tuple[str, str]]
    seen: Sequence[tuple[str, str]]
    sides: Sequence[Pair]
    drawing: Drawing | None


class Command(NamedTuple):
    """A command line, and what it is for."""

    purpose: str
    line: str


class BundleRow(NamedTuple):
    """A bundle in the table of all."""

    number: int
    verdict: str
    name: str
    extent: str
    first: str
    passes: bool


def verdict_of(report: Report) -> str:
    """The outcome in one word."""
    return VERDICTS.get(report.outcome, report.outcome)


def subject_of(report: Report) -> str:
    """What the page is about: the bundle or file, or how many there are."""
    files = () if report.files is UNSET else report.files
    if report.episode:
        return f"event {report.episode.event_id}"
    if len(report.bundles) == 1:
        return name_of(report.bundles[0])
    if report.bundles:
        return counted(len(report.bundles), "bundle")
    if len(files) == 1:
        return near(files[0].path)
    return counted(len(files), "file") if files else f"ergo {report.command or ''}".strip()


def name_of(bundle: BundleDocument) -> str:
    """The path of a bundle, in a diff both."""
    path = near(bundle.path)
    return path if bundle.base is UNSET else f"{near(bundle.base)} → {path}"


def lead(report: Report, compared: Compared | None) -> str:
    """The verdict in a sentence."""
    if compared is None:
        return _lead_without_results(report)
    results = compared.results
    if report.outcome == CLOSED and report.error is not None:
        return without_hashes(near(report.error.message))
    if len(results) == 1:
        return "; ".join(_lead_of(results[0]))
    parts = [_of_all(results, Outcome.DIVERGED, "differ"), _of_all(results, Outcome.REFUSED, "cannot be compared")]
    parts = [part for part in parts if part] or [f"all {len(results):,} bundles decide as recorded"]
    return "; ".join((*parts, *levels_text(sum((each.levels for each in results), LevelCounts()))))


def _lead_without_results(report: Report) -> str:
    if report.episode:
        return episode_lead(report.episode)
    if report.files is not UNSET and report.files:
        invalid = sum(bool(file.errors) for file in report.files)
        return f"{invalid:,} of {counted(len(report.files), 'file')} invalid" if invalid else "nothing is wrong"
    if report.error is not None:
        return without_hashes(near(report.error.message))
    return "no bundle matched" if report.outcome == "empty" else "not everything was compared"


def _lead_of(result: BundleResult) -> Iterator[str]:
    if result.error is not None:
        yield reason_of_change(result.error) or without_hashes(near(result.error.message))
    elif result.outcome is Outcome.DIVERGED:
        yield (
            f"{extent(result)} {'differs' if result.differing == 1 else 'differ'}"
            if result.differing
            else extent(result)
        )
        yield from levels_text(result.levels)
        yield from expected_text(result)
    else:
        yield "both sides are equal" if result.base is not None else "every decision is as recorded"


def _of_all(results: Sequence[BundleResult], outcome: Outcome, verb: str) -> str:
    number = sum(result.outcome is outcome for result in results)
    return f"{number:,} of {len(results):,} bundles {verb}" if number else ""


def gate(compared: Compared | None) -> list[str]:
    """Why the exit code is 0 although something differs."""
    return (
        [] if compared is None else [line.text.removeprefix("passes").strip() for line in below_gate(compared.results)]
    )


def tiles(report: Report) -> list[Tile]:
    """The numbers of the summary."""
    if report.episode:
        view = episode_view(report.episode)
        differing = sum(bool(row.sign) for row in view.rows) + len(view.gone)
        found = (("parts", len(view.rows)), ("did otherwise", differing), ("recorded effects", len(view.effects)))
        return [Tile(name, f"{number:,}") for name, number in found if number]
    counts = [each.decisions for each in report.bundles if each.decisions is not None]
    found = [("bundles", len(report.bundles) if len(report.bundles) > 1 else 0)]
    found += [("events", sum(each.events or 0 for each in report.bundles))]
    found += [(name, sum(getattr(each, form) for each in counts)) for name, form in _DECISIONS]
    found += [("divergences", sum(each.divergence_count for each in report.bundles))]
    if report.files is not UNSET and report.files:
        found += [("files", len(report.files)), ("errors", sum(len(file.errors) for file in report.files))]
    shown = [Tile(name, f"{number:,}") for name, number in found if number]
    return [*shown, Tile("exit code", str(report.exit_code))]


_DECISIONS = (("invoked", "invoke"), ("deferred", "defer"), ("skipped", "skip"))


def changes_of(report: Report) -> list[ChangeDocument]:
    """The changes of all bundles, each once, those that decide something first."""
    found = dict.fromkeys(
        change for bundle in report.bundles if bundle.changes is not UNSET for change in bundle.changes
    )
    return sorted(found, key=lambda change: change.idle or change.without_effect)


def errors_of(report: Report) -> list[tuple[ErrorDocument, list[str]]]:
    """The errors, each once, with the bundles that have it."""
    found: dict[ErrorDocument, list[str]] = {}
    for bundle in report.bundles:
        if bundle.error is not None:
            found.setdefault(bundle.error, []).append(name_of(bundle))
    if report.error is not None and not report.files:
        found.setdefault(report.error, [])
    return list(found.items())


def warnings_of(report: Report, compared: Compared | None) -> list[str]:
    """The warnings, each once: not those of changes that the page shows."""
    shown = {
        warning_text(notice)
        for result in (() if compared is None else compared.results)
        for notice in result.warnings
        if notice.is_of_changes and result.changes
    }
    of_bundles = (text for bundle in report.bundles for text in bundle.warnings if text not in shown)
    return list(dict.fromkeys((*report.warnings, *of_bundles)))


def group_rows(compared: Compared) -> list[GroupRow]:
    """The groups of what differs, the gravest and largest first; none where one event alone differs."""
    diverged = [without_expected(each) for each in compared.results if each.outcome is Outcome.DIVERGED]
    if len({(each.path, at.event_id, at.occurrence) for each in diverged for at in independent(each)}) < 2:
        return []
    found = groups(diverged, [near(each.path) for each in diverged])
    return [_group_row(group, of_many=len(diverged) > 1) for group in found]


def _group_row(group: Group, *, of_many: bool) -> GroupRow:
    what = group.what(_WIDTH)
    many = f"{group.count:,}" if not of_many else f"{group.count:,} in {counted(len(group.bundles), 'bundle')}"
    return GroupRow(many, level_mark(group.level), what[:1], group.node, what[2:], group.events)


def deciding(compared: Compared) -> BundleResult | None:
    """The bundle whose first decision is shown: the first that fails the comparison, else the first that differs."""
    diverged = [each for each in compared.results if each.divergences]
    return next((each for each in diverged if not each.passes), diverged[0] if diverged else None)


def first_of(result: BundleResult, *, named: bool) -> First | None:
    """The first decision of a bundle that differs, without what is expected of it; None where no other is kept."""
    open_ = without_expected(result)
    at = first_place(open_ if open_.divergences else result)
    if at is None:
        return None
    first, rows = at.first, list(dict.fromkeys(_fact_rows(at)))
    picture = lit_picture(result, at)
    return First(
        title=place_text(result, first, named=named),
        level=gravest_mark(at.shown),
        facts=rows[:_MOST_FACTS],
        more=max(0, len(rows) - _MOST_FACTS),
        because=[row.cells[0].removeprefix("because").strip() for row in reasons(at.shown, result.changes)],
        before=[_before(row.cells) for row in episodes_before(result)] if at.is_earliest else [],
        seen=list(islice(_seen(at), _MOST_MEMBERS)),
        sides=sides_of(first),
        drawing=None if picture is None else drawing_of(picture),
    )


def _fact_rows(at: FirstPlace) -> Iterator[FactRow]:
    for each in (*at.header, *at.shown):
        for fact in facts(each):
            yield _fact_row(fact)


def _fact_row(fact: Fact) -> FactRow:
    return FactRow(fact.sign, fact.text, fact.made)


def _before(cells: tuple[str, ...]) -> tuple[str, str]:
    return cells[0].removeprefix("before").strip(), cells[1]


def _seen(at: FirstPlace) -> Iterator[tuple[str, str]]:
    members = dict(pair for each in at.shown if each.log is not None for pair in each.log.before)
    for path, value in members.items():
        yield path, "(none)" if value is None else value_line(value)


def commands(report: Report, compared: Compared | None) -> list[Command]:
    """What to do next: reproduce, look closer, accept."""
    result = None if compared is None else deciding(compared)
    if compared is None or result is None:
        lines = [bundle.reproduce for bundle in report.bundles] + [file.reproduce for file in report.files or ()]
        found = [Command("reproduce", line) for line in lines if line is not UNSET][:1]
        changed = (each for each in _results(compared) if reason_of_change(each.error) is not None)
        again = (shlex.join(("ergo", "replay", argument(each.path), *_program(compared))) for each in changed)
        return [*found, *(Command("compare", line) for line in islice(again, 1))]
    bundle = report.bundles[compared.results.index(result)]
    found = [] if bundle.reproduce is UNSET else [Command("reproduce", bundle.reproduce)]
    at = first_place(result)
    closer = None if at is None else closer_command(result, at.first, compared.program)
    found += [] if closer is None else [Command("look closer", closer)]
    if compared.accepts and result.path != STANDARD_INPUT and result.divergence_count > expected_count(result):
        found.append(Command("if intended", shlex.join(("ergo", "accept", argument(result.path), *compared.program))))
    return found


def _results(compared: Compared | None) -> Sequence[BundleResult]:
    return () if compared is None else compared.results


def _program(compared: Compared | None) -> Sequence[str]:
    return () if compared is None else compared.program


def bundle_rows(report: Report, compared: Compared) -> list[BundleRow]:
    """The bundles: those that cannot be compared first, then those that differ, then those that match."""
    rows = [
        BundleRow(
            number,
            VERDICTS[bundle.outcome],
            name_of(bundle),
            extent(result) if result.outcome is Outcome.DIVERGED else counted(bundle.events or 0, "event"),
            _first_fact(bundle),
            result.passes,
        )
        for number, (bundle, result) in enumerate(zip(report.bundles, compared.results, strict=True))
    ]
    return sorted(rows, key=lambda row: _ORDER.index(row.verdict))


_ORDER = [VERDICTS[each.value] for each in (Outcome.REFUSED, Outcome.DIVERGED, Outcome.MATCH)]


def _first_fact(bundle: BundleDocument) -> str:
    if bundle.error is not None:
        return without_hashes(near(bundle.error.message))
    first = next(iter(bundle.divergences), None)
    return "" if first is None else "; ".join(first.facts) or first.path

"""The first decision of a bundle that differs: what differs, why, what came before, what to do next (spec 70 §2)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from itertools import chain, repeat

import msgspec
from msgspec import Struct

from ergo_cli.programs.changes import Change
from ergo_cli.programs.recorded import LogDifference
from ergo_cli.replay.results import BundleResult, Divergence, DivergenceKind, Episode, as_shown
from ergo_cli.report.changes import subject_of, values_of
from ergo_cli.report.consequences import independent
from ergo_cli.report.error_text import near
from ergo_cli.report.facts import Fact, effect_facts, facts, named_values
from ergo_cli.report.levels import gravest_mark
from ergo_cli.report.memory import memory_texts
from ergo_cli.report.reproducing import argument
from ergo_cli.report.text import GAP, MOST_OF_ID, Block, Line, Row, Rows, Tone, fields, shorten, value_texts
from ergo_cli.report.way_to_change import way_texts

_FULL_WIDTH = 160
_COMPLETED = "Completed"
_LINE_WIDTH = 80
_MOST_OF_WORD = 100_000  # systems take no longer word of a command
MOST_FACTS = 12
"""How many facts of one decision the text shows."""
_CAUSES = {
    "numbers": "both agree once numbers are read as the original reads them; replay with --numbers original",
    "program_changed": "today's program is not the one that was captured",
    "adapter_changed": "today's adapter is not the one that was captured",
    "primitive_code": "the graph is the captured one: the code of an own primitive decides otherwise",
    "memory": "memory that the event reads is another",
    "bundle_edited": "the bundle was changed after its capture: an effect has not its recorded hash",
    "MissingEvents": "the run ends too soon",
    "ExtraEvents": "the run goes on where it ended",
    "OrphanAction": "a request has no result, and no deadline to excuse it",
    "request_mismatch": "the fact key is the same, what is asked is not",
    "missing_fact": "the facts that are asked for are not those that were recorded",
    "order_mismatch": "another attempt follows, or one on another context",
    "status_mismatch": "the attempt or the run ends in another way",
    "status": "an event fails, or fails otherwise",
    "effect_identity": "another effect is asked for in its place",
    "missing_recorded_effect": "this effect was never performed",
    "effect_in_doubt": "how this effect ended is not recorded",
    "unreproducible_failure": "the recorded failure does not come again",
}
"""What a cause says beyond the two sides; what it does not is named by ``-v`` alone."""

_OF_THE_PROGRAM = frozenset({"program_changed", "adapter_changed", "primitive_code"})
"""Causes that need no words where the changes are known, which stand above."""


class Sides(Struct, frozen=True):
    """The names of the two sides of a comparison."""

    expected: str
    actual: str


def first_decision(
    result: BundleResult,
    sides: Sides,
    program: Sequence[str] = (),
    following: Sequence[Line] = (),
    *,
    verbose: bool,
    named: bool,
) -> Iterator[Block]:
    """The first decision of a bundle that differs: what differs, why, what came before, what to do next.

    Where not every difference fails the comparison, it is the first that does.
    ``program`` are the words of a command line that select the program, ``following`` stands below what differs.
    """
    at = first_place(result)
    if at is None:
        return
    first, shown = at.first, at.shown
    for header in (at.header,) if at.header else ():
        yield from _in_lines(DivergenceKind.HEADER.value, header)
        for each in header if verbose else ():
            yield fields(_in_full(each, sides), indent=2)
    yield from _in_lines(place_text(result, first, named=named), shown)
    yield from following
    yield from (Line(text) for text in dict.fromkeys(seen_before(shown)))
    yield Rows(tuple(reasons(shown, result.changes)), 2)
    yield Rows(tuple(episodes_before(result)) if at.is_earliest else (), 2)
    if verbose:
        yield fields(_in_full(first, sides), indent=2)
    closer = closer_command(result, first, program)
    if closer is not None:
        yield Line()
        yield Line(f"closer     {closer}", whole=True)


class FirstPlace(Struct, frozen=True):
    """The first decision that differs, or the first that fails the comparison where not all do.

    ``first`` is its first difference, ``shown`` are those that follow from no other, ``header`` are the differences of
    a header apart from it. ``is_earliest``: no decision before it differs.
    """

    first: Divergence
    shown: tuple[Divergence, ...]
    header: tuple[Divergence, ...]
    is_earliest: bool


def first_place(result: BundleResult) -> FirstPlace | None:
    """Where a bundle differs first; None where no difference is kept."""
    found = as_shown(result.divergences)
    if not found:
        return None
    alone = independent(result)
    earliest = next((each for each in found if each.event_id is not None), found[0])
    first = next((each for each in found if each.event_id is not None and _fails(result, each)), earliest)
    header = [each for each in found if each.kind is DivergenceKind.HEADER]
    together = [each for each in found if (each.seq, each.event_id) == (first.seq, first.event_id)]
    shown = [each for each in together if each in alone] or together
    return FirstPlace(first, tuple(shown), () if first in header else tuple(header), first.seq == earliest.seq)


def _fails(result: BundleResult, divergence: Divergence) -> bool:
    return result.fail_on.is_reached(divergence.level)


def _in_lines(title: str, together: Sequence[Divergence]) -> Iterator[Block]:
    """Divergences of one place in lines, below its name and their level."""
    rows = list(dict.fromkeys(fact.row for each in together for fact in facts(each)))
    yield Line()
    yield Line("  ".join(filter(None, (title, gravest_mark(together)))), Tone.STRONG)
    yield Rows(tuple(rows[:MOST_FACTS]), 2)
    if len(rows) > MOST_FACTS:
        yield Line(f"  and {len(rows) - MOST_FACTS:,} more of this decision", Tone.FAINT)


def place_text(result: BundleResult, first: Divergence, *, named: bool) -> str:
    """The decision, or of a record the event and where it stands in its run."""
    parts = [near(result.path)] if named else []
    if first.event_id is None:
        parts.append("at the end" if first.kind is DivergenceKind.JOURNAL else first.kind.value)
    else:
        parts += [f"decision {first.seq}"] if first.log is None else []
        parts.append(f"event {event_text(first)}")
    if first.log is not None:
        parts.append(first.log.place or f"run {first.log.run_id}  record {first.log.first_divergent_seq}")
    return "  ".join(parts)


def seen_before(together: Sequence[Divergence]) -> Iterator[str]:
    """What the program looked at when it made a record that differs, as far as a line holds it."""
    for log in (each.log for each in together if each.log is not None and each.log.before):
        text = f"  state before  {named_values(log.before)}"
        yield text if len(text) <= _LINE_WIDTH else f"{text[: _LINE_WIDTH - 2].rpartition(', ')[0]}, {GAP}"


def reasons(together: Sequence[Divergence], changes: Sequence[Change]) -> Iterator[Row]:
    """Why: the changes that reach the values, else what is known of the cause, and the first node that differs."""
    said: set[str] = set()
    of_records = {each.node for each in together if each.journal is not None}
    for each in together:
        origin = () if each.origin in of_records else _origin(each)
        for reason in (*_causes(each, changes), *origin):
            if reason not in said:
                yield Row((f"{'' if said else 'because':10}{reason}",))
                said.add(reason)


def _causes(divergence: Divergence, changes: Sequence[Change]) -> Iterator[str]:
    way = _way(divergence)
    if way:
        yield from way
    elif divergence.changes:
        for change in (changes[number] for number in divergence.changes):
            yield f"{subject_of(change)}  {values_of(change) or change.verb.value}"
    elif divergence.memory:
        yield from memory_texts(divergence.memory)
    elif divergence.cause in _CAUSES and not (changes and divergence.cause in _OF_THE_PROGRAM):
        yield _CAUSES[divergence.cause]


def _way(divergence: Divergence) -> Sequence[str]:
    """The way from the value to the change behind it; none where several changes are, which are named themselves."""
    if divergence.chain is None or len(divergence.changes) != 1:
        return ()
    return tuple(way_texts(divergence.chain))


def _origin(divergence: Divergence) -> Iterator[str]:
    if divergence.origin is not None and not _way(divergence):
        yield f"{divergence.origin} is the first node that differs"


def episodes_before(result: BundleResult) -> Iterator[Row]:
    """The decisions before the first that differs, one line each; of those that did nothing only how they failed."""
    labels = chain(("before",), repeat(""))
    for episode in result.before_first:
        event = shorten(episode.event_id, MOST_OF_ID)
        done = _done(episode, _LINE_WIDTH - 2 - 10 - len(event) - 2)
        if done:
            yield Row((f"{next(labels):10}{event}", done), Tone.FAINT)


def _done(episode: Episode, room: int) -> str:
    """The first effects of an episode, as many as ``room`` holds, else how it ended; empty if it did nothing."""
    made = [
        effect
        for text in episode.texts
        for effect in effect_facts("+", msgspec.json.decode(text), width=room - len(f", {GAP}"))
    ]
    shown = 0
    while shown < len(made) and len(_joined(made, shown + 1)) <= room:
        shown += 1
    if made:
        return _joined(made, max(1, shown))
    return "" if episode.termination == _COMPLETED else episode.termination or episode.decision


def _joined(made: Sequence[Fact], shown: int) -> str:
    return ", ".join([*(each.text for each in made[:shown]), *([GAP] if shown < len(made) else [])])


def closer_command(result: BundleResult, first: Divergence, program: Sequence[str]) -> str | None:
    """The command that says why: the chain behind the value of a node, else the event's records one by one."""
    if result.path == "-" or first.kind is DivergenceKind.EVENT_MISSING:
        return None
    if first.event_id is not None and len(first.event_id) > _MOST_OF_WORD:
        return None  # a command that a shell takes cannot name it
    if first.event_id is None:  # of the closing entry: without an event, why takes the first difference
        return shlex.join(("ergo", "why", argument(result.path), *program)) if _has_reasons(result, first) else None
    if _has_reasons(result, first) and not first.event_id.startswith("-"):
        again = ("--occurrence", str(first.occurrence)) if first.occurrence else ()
        return shlex.join(("ergo", "why", argument(result.path), first.event_id, *again, *program))
    event = (f"--event={first.event_id}",) if first.event_id.startswith("-") else ("--event", first.event_id)
    again = ("--occurrence", str(first.occurrence)) if first.occurrence else ()
    return shlex.join(("ergo", "explain", argument(result.path), *event, *again, *program))


def _has_reasons(result: BundleResult, first: Divergence) -> bool:
    """Whether ``ergo why`` can say what is behind a divergence."""
    if first.journal is not None:
        return result.says_why
    return result.base is None and first.node is not None


def _in_full(divergence: Divergence, sides: Sides) -> list[tuple[str, object | None]]:
    expected, actual = value_texts(divergence.expected, divergence.actual, _FULL_WIDTH)
    return [
        ("decision", divergence.seq),
        ("event", event_text(divergence)),
        ("episode", divergence.episode_id),
        ("kind", divergence.kind.value),
        ("level", divergence.level.value),
        ("path", divergence.path or None),
        (sides.expected, expected),
        (sides.actual, actual),
        ("node", divergence.node),
        ("origin", divergence.origin),
        ("cause", ": ".join(filter(None, (divergence.cause, _CAUSES.get(divergence.cause or "")))) or None),
        ("code", divergence.code),
        *_log_in_full(divergence.log, sides),
    ]


def _log_in_full(log: LogDifference | None, sides: Sides) -> list[tuple[str, object | None]]:
    """The first difference of two run logs: its position, and both records with their hashes."""
    if log is None:
        return []
    expected, actual = value_texts(log.expected, log.actual, _FULL_WIDTH)
    records = log.expected is not None or log.actual is not None
    return [
        ("run", log.run_id),
        ("first divergent seq", log.first_divergent_seq),
        ("common prefix", log.common_prefix),
        (f"record ({sides.expected})", expected if records else None),
        (f"record ({sides.actual})", actual if records else None),
        (f"hash ({sides.expected})", log.expected_hash),
        (f"hash ({sides.actual})", log.actual_hash),
        ("ended with", log.error),
    ]


def event_text(divergence: Divergence) -> str | None:
    """The id of the event, cut, with its occurrence if it is repeated; None where there is none."""
    if divergence.event_id is None:
        return None
    shown = shorten(divergence.event_id, MOST_OF_ID)
    return f"{shown} (again, {divergence.occurrence} before it)" if divergence.occurrence else shown

"""The first decision of a bundle that differs: what differs, why, what came before, what to do next (spec 70 §2)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct

from ergo_cli.programs.changes import Change
from ergo_cli.programs.recorded import LogDifference
from ergo_cli.replay.results import BundleResult, Divergence, DivergenceKind, as_shown
from ergo_cli.report.changes import subject_of, values_of
from ergo_cli.report.error_text import near
from ergo_cli.report.facts import effect_facts, facts, named_values
from ergo_cli.report.levels import gravest_mark
from ergo_cli.report.memory import memory_texts
from ergo_cli.report.text import GAP, Block, Line, Row, Rows, Tone, fields, shorten, value_texts

_FULL_WIDTH = 160
_CELL_WIDTH = 40
_LINE_WIDTH = 80
MOST_FACTS = 12
"""How many facts of one decision the text shows."""
_CAUSES = {
    "numbers": "both agree once numbers are read as the original reads them; replay with --numbers original",
    "program_changed": "today's program is not the one that was captured",
    "adapter_changed": "today's adapter is not the one that was captured",
    "primitive_code": "the graph is the captured one: the code of an own primitive decides otherwise",
    "memory": "memory that the event reads is another",
    "bundle_edited": "the bundle was changed after its capture: an effect has not its recorded hash",
    "ActionMismatch": "ActionMismatch: the step function asks for another action",
    "EventMismatch": "EventMismatch: another event follows",
    "MissingEvents": "MissingEvents: the run ends too soon",
    "ExtraEvents": "ExtraEvents: the run goes on where it ended",
    "StateMismatch": "StateMismatch: the events are the same, the states are not",
    "OrphanAction": "OrphanAction: a request has no result, and no deadline to excuse it",
    "snapshot_mismatch": "snapshot_mismatch: the state writes other values",
    "request_mismatch": "request_mismatch: the fact key is the same, what is asked is not",
    "missing_fact": "missing_fact: the facts that are asked for are not those that were recorded",
    "event_mismatch": "event_mismatch: another event follows",
    "order_mismatch": "order_mismatch: another attempt follows, or one on another context",
    "status_mismatch": "status_mismatch: the attempt or the run ends in another way",
    "kind": "kind: an event of another type stands there",
    "payload": "payload: the stage writes other values",
    "status": "status: an event fails, or fails otherwise",
    "effect_identity": "effect_identity: another effect is asked for in its place",
    "missing_row": "missing_row: an event of a stage is missing, or is new",
    "missing_recorded_effect": "missing_recorded_effect: this effect was never performed",
    "effect_in_doubt": "effect_in_doubt: how this effect ended is not recorded",
    "unreproducible_failure": "unreproducible_failure: the recorded failure does not come again",
}


class Sides(Struct, frozen=True):
    """The names of the two sides of a comparison."""

    expected: str
    actual: str


def first_decision(
    result: BundleResult, sides: Sides, program: Sequence[str] = (), *, verbose: bool, named: bool
) -> Iterator[Block]:
    """The first decision of a bundle that differs: what differs, why, what came before, what to do next.

    Where not every difference fails the comparison, it is the first that does.
    ``program`` are the words of a command line that select the program.
    """
    found = as_shown(result.divergences)
    if not found:
        return
    earliest = next((each for each in found if each.event_id is not None), found[0])
    first = next((each for each in found if each.event_id is not None and _fails(result, each)), earliest)
    header = [each for each in found if each.kind is DivergenceKind.HEADER]
    if header and first not in header:
        yield from _in_lines(DivergenceKind.HEADER.value, header)
        for each in header if verbose else ():
            yield fields(_in_full(each, sides), indent=2)
    together = [each for each in found if (each.seq, each.event_id) == (first.seq, first.event_id)]
    yield from _in_lines(_place(result, first, named=named), together)
    yield from (Line(text) for text in dict.fromkeys(_seen(together)))
    yield Rows(tuple(_reasons(together, result.changes)), 2)
    yield Rows(tuple(_before(result)) if first.seq == earliest.seq else (), 2)
    if verbose:
        yield fields(_in_full(first, sides), indent=2)
    closer = _closer(result, first, program)
    if closer is not None:
        yield Line()
        yield Line(f"closer     {closer}", whole=True)


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


def _place(result: BundleResult, first: Divergence, *, named: bool) -> str:
    parts = [near(result.path)] if named else []
    if first.event_id is None:
        parts.append("at the end" if first.kind is DivergenceKind.JOURNAL else first.kind.value)
    else:
        parts += [f"decision {first.seq}", f"event {event_text(first)}"]
    if first.log is not None:
        parts.append(f"run {first.log.run_id}  record {first.log.first_divergent_seq}")
    return "  ".join(parts)


def _seen(together: Sequence[Divergence]) -> Iterator[str]:
    """What the program looked at when it made a record that differs, as far as a line holds it."""
    for log in (each.log for each in together if each.log is not None and each.log.before):
        text = f"  state before  {named_values(log.before)}"
        yield text if len(text) <= _LINE_WIDTH else f"{text[: _LINE_WIDTH - 2].rpartition(', ')[0]}, {GAP}"


def _reasons(together: Sequence[Divergence], changes: Sequence[Change]) -> Iterator[Row]:
    """Why: the changes that reach the values, else what is known of the cause, and the first node that differs."""
    said: set[str] = set()
    for each in together:
        for reason in (*_causes(each, changes), *_origin(each)):
            if reason not in said:
                yield Row((f"{'' if said else 'because':10}{reason}",))
                said.add(reason)


def _causes(divergence: Divergence, changes: Sequence[Change]) -> Iterator[str]:
    if divergence.changes:
        for change in (changes[number] for number in divergence.changes):
            yield f"{subject_of(change)}  {values_of(change) or change.verb.value}"
    elif divergence.memory:
        yield from memory_texts(divergence.memory)
    elif divergence.cause is not None:
        yield _CAUSES.get(divergence.cause, divergence.cause)


def _origin(divergence: Divergence) -> Iterator[str]:
    if divergence.origin is not None:
        yield f"{divergence.origin} is the first node that differs"


def _before(result: BundleResult) -> Iterator[Row]:
    """The decisions before the first that differs, one line each."""
    for number, episode in enumerate(result.before_first):
        made = [fact.text for text in episode.texts for fact in effect_facts("+", msgspec.json.decode(text))]
        done = ", ".join(made) or episode.termination or episode.decision
        label = "" if number else "before"
        yield Row((f"{label:10}{episode.event_id}", shorten(done, _CELL_WIDTH)), Tone.FAINT)


def _closer(result: BundleResult, first: Divergence, program: Sequence[str]) -> str | None:
    """The command that says why: the chain behind the value of a node, else the event's records one by one."""
    if result.path == "-" or first.kind is DivergenceKind.EVENT_MISSING:
        return None
    if first.event_id is None:  # of the closing entry: without an event, why takes the first difference
        return shlex.join(("ergo", "why", near(result.path), *program)) if _has_reasons(result, first) else None
    if _has_reasons(result, first) and not first.event_id.startswith("-"):
        again = ("--occurrence", str(first.occurrence)) if first.occurrence else ()
        return shlex.join(("ergo", "why", near(result.path), first.event_id, *again, *program))
    event = (f"--event={first.event_id}",) if first.event_id.startswith("-") else ("--event", first.event_id)
    again = ("--occurrence", str(first.occurrence)) if first.occurrence else ()
    return shlex.join(("ergo", "explain", near(result.path), *event, *again, *program))


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
        ("cause", _CAUSES.get(divergence.cause or "", divergence.cause)),
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
    """The id of the event, with its occurrence if it is repeated; None where there is none."""
    if divergence.event_id is None or not divergence.occurrence:
        return divergence.event_id
    return f"{divergence.event_id} (again, {divergence.occurrence} before it)"

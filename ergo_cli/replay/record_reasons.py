"""Why a recorded episode of a program that acts is not what today's makes of it, and what is behind its records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import rehydrate_for_replay
from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.errors import ProgramError, UsageError
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.kind import Asked, Ran, SaysWhy
from ergo_cli.programs.recorded import Episode
from ergo_cli.replay.explaining import Assigned, Decided, decided_in
from ergo_cli.replay.memory_chain import Written
from ergo_cli.replay.preflight import check_kind
from ergo_cli.replay.reasons import Why, asked_episode
from ergo_cli.replay.results import BundleResult


def why_recorded(
    reader: BundleReader,
    find: Callable[[BundleReader], Assigned],
    compare: Callable[[int], BundleResult],
    event_id: str,
    path: str | None = None,
    occurrence: int = 0,
) -> Why | None:
    """The chain behind the first difference of an event's episode, or behind its part at ``path``.

    ``compare`` replays one decision, by its place. None where nothing of the episode differs and no path is given.
    Raises as ``why_event``; ProgramError ``program.not_computed`` for a kind that says nothing of its records.
    """
    acting = _says_why(reader)
    programs, found = asked_episode(reader, find, event_id, occurrence)
    program, episode, result = programs.program.value, _recorded(reader, found), compare(found.seq)
    differences = tuple(each.journal for each in result.divergences if each.journal is not None)
    if path is None and not differences:
        return None
    if path is not None:
        _check_path(path, acting.parts(program, episode), event_id)
    context = rehydrate_for_replay(found.origin, programs.numbers, programs.context_rule).context
    ran, effects = Ran(found.origin.event_id, context), [effect.text for effect in found.record.effects]
    before = partial(_before, reader, programs, found.seq)
    asked = Asked(ran, differences, path, result.changes, effects, before)
    cause = acting.why(program, episode, asked)
    return _why(reader, cause, result, found.event.event_id, found.seq, occurrence)


def why_closing(
    reader: BundleReader, find: Callable[[BundleReader], Assigned], compare: Callable[[], BundleResult]
) -> Why | None:
    """The chain behind the first difference of what closing the program recorded; None where there is none.

    ``compare`` replays the whole bundle. Raises as ``why_recorded``.
    """
    acting, journals = _says_why(reader), BundleJournals(reader)
    programs = find(reader)
    check_kind(reader, programs.program)
    decisions = sum(1 for _ in journals.episodes())
    result = compare()
    found = (each.journal for each in result.divergences if each.event_id is None)
    differences = tuple(journal for journal in found if journal is not None)
    if journals.closing is None or not differences:
        return None
    before = partial(_before, reader, programs, decisions)
    asked = Asked(None, differences, changes=result.changes, before=before)
    cause = acting.why(programs.program.value, journals.closing, asked)
    return _why(reader, cause, result, None, decisions, 0)


def _says_why(reader: BundleReader) -> SaysWhy:
    acting = reader.kind.acting
    if isinstance(acting, SaysWhy):
        return acting
    message = f"a {reader.kind_name} program computes no values from node to node: its journals hold what happened"
    fix = "look at the records with ergo explain BUNDLE --event ID"
    raise ProgramError("program.not_computed", message, where=reader.path, fix=fix)


def _why(
    reader: BundleReader, cause: Cause, result: BundleResult, event_id: str | None, seq: int, occurrence: int
) -> Why:
    steps = list(_steps(cause))
    return Why(
        event_id,
        seq,
        occurrence,
        cause.part,
        (),
        (),
        cause,
        {},
        not any(each.is_unknown for each in steps),
        _events_of(reader, {each.episode for each in steps if each.episode is not None}),
        result.failures,
        is_recorded=True,
    )


def _before(reader: BundleReader, programs: Assigned, until: int) -> Iterator[tuple[Ran, Episode]]:
    """The episodes of the decisions before one, with their arguments."""
    recorded = BundleJournals(reader).episodes()
    for found, each in zip(islice(decided_in(reader), until), recorded, strict=False):
        if each.episode is not None:
            context = rehydrate_for_replay(found.origin, programs.numbers, programs.context_rule).context
            yield Ran(found.origin.event_id, context), each.episode


def _recorded(reader: BundleReader, found: Decided) -> Episode:
    episode = next(islice(BundleJournals(reader).episodes(), found.seq, None)).episode
    assert episode is not None, "an episode that ran has a journal"
    return episode


def _check_path(path: str, parts: Sequence[str], event_id: str) -> None:
    known = tuple(dict.fromkeys(parts))
    if path in known:
        return
    message = f"the episode of event '{event_id}' has no part '{path}'"
    fix = did_you_mean(path, known) or f"name one of {', '.join(known[:8])}"
    raise UsageError("cli.invalid_option_value", message, where="argument PATH", fix=fix)


def _steps(cause: Cause) -> Iterator[Cause]:
    """All steps of a chain."""
    waiting = [cause]
    while waiting:
        each = waiting.pop()
        yield each
        waiting += each.sources


def _events_of(reader: BundleReader, episodes: set[int]) -> Mapping[int, Written]:
    """The decision that ran each episode."""
    found: dict[int, Written] = {}
    for seq, record in enumerate(reader.decisions() if episodes else ()):
        if record.episode_id in episodes:
            found[record.episode_id] = Written(record.event_id, seq)
    return found

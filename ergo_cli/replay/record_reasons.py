"""Why a recorded episode of a program that acts is not what today's makes of it, and what is behind its records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import rehydrate_for_replay
from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.errors import ProgramError, UsageError
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.kind import Asked, Ran, SaysWhy
from ergo_cli.programs.recorded import Episode
from ergo_cli.replay.explaining import Assigned, Decided
from ergo_cli.replay.reasons import Why, Written, asked_episode
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
    acting = reader.kind.acting
    if not isinstance(acting, SaysWhy):
        message = f"a {reader.kind_name} program computes no values from node to node: its journals hold what happened"
        fix = "look at the records with ergo explain BUNDLE --event ID"
        raise ProgramError("program.not_computed", message, where=reader.path, fix=fix)
    programs, found = asked_episode(reader, find, event_id, occurrence)
    program, episode, result = programs.program.value, _recorded(reader, found), compare(found.seq)
    differences = tuple(each.journal for each in result.divergences if each.journal is not None)
    if path is None and not differences:
        return None
    if path is not None:
        _check_path(path, acting.parts(program, episode), event_id)
    context = rehydrate_for_replay(found.origin, programs.numbers).context
    asked = Asked(Ran(found.origin.event_id, context), differences, path, result.changes)
    cause = acting.why(program, episode, asked)
    return Why(
        found.event.event_id,
        found.seq,
        occurrence,
        cause.part,
        (),
        (),
        cause,
        {},
        not any(each.is_unknown for each in _steps(cause)),
        _events_of(reader, {each.episode for each in _steps(cause) if each.episode is not None}),
        result.failures,
        is_recorded=True,
    )


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
    raise UsageError("cli.invalid_option_value", message, where="path", fix=fix)


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

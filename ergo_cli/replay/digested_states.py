"""The members of states of which a recording holds only digests, found near today's by what changed in the program."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ergo_cli.core.json import canonical
from ergo_cli.core.near_digest import Literal, value_of_digest
from ergo_cli.core.tree_differences import differing_members
from ergo_cli.programs.changes import Change
from ergo_cli.programs.recorded import LogDifference
from ergo_cli.replay.results import Divergence


def with_members(divergence: Divergence, changes: Sequence[Change]) -> Divergence:
    """A difference of states with the members that differ, where they are found; any other as it is."""
    log, journal = divergence.log, divergence.journal
    if log is None or not log.states or log.state or journal is None:
        return divergence
    known = _known(log, list(_literals(changes)))
    return divergence if known is None else replace(divergence, log=known, journal=replace(journal, log=known))


def _known(log: LogDifference, literals: Sequence[Literal]) -> LogDifference | None:
    *earlier, today = log.states
    if log.expected_hash is None:
        return None
    recorded = value_of_digest(today, log.expected_hash, literals, earlier)
    return None if recorded is None else replace(log, state=differing_members(recorded, today))


def _literals(changes: Sequence[Change]) -> Iterator[Literal]:
    """The constants that changed, as JSON values."""
    for change in changes:
        try:
            was, now = ast.literal_eval(change.before or ""), ast.literal_eval(change.after or "")
            canonical([was, now])
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        yield was, now

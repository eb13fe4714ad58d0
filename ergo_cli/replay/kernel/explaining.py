"""One episode of a kernel bundle, record by record; nothing runs, and no program is needed (spec 00 §13.8)."""

from __future__ import annotations

from itertools import islice

from msgspec import Struct

from ergo_cli.bundle.kernel_journals import KernelCall, KernelJournals
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.replay.decided import Decided, find_decision


class JournalExplanation(Struct, frozen=True):
    """A decision and what was recorded of its episode, call by call; nothing where none ran."""

    graph_id: str
    decided: Decided
    run_id: str | None = None
    calls: tuple[KernelCall, ...] = ()


def explain_journal(reader: BundleReader, event_id: str, occurrence: int = 0) -> JournalExplanation:
    """The decision for an event and its journal; ``occurrence`` counts earlier events of the same id, from 0.

    Raises UsageError ``cli.invalid_option_value`` for an event that the bundle does not have, BundleError.
    """
    decided = find_decision(reader, event_id, occurrence)
    _, episode = next(islice(KernelJournals(reader).episodes(), decided.seq, None))
    if episode is None:
        return JournalExplanation(reader.graph_id, decided)
    return JournalExplanation(reader.graph_id, decided, episode.run_id, episode.calls)

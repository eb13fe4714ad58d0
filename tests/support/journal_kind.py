"""A kind of program that can do one thing: have its journals read. Its records are notes.

A note is ``{"note":text}``, ``{"artifact":id}`` names an artifact, and ``{"fault":why}`` is one that no program can
have recorded. An episode may have any number of entries, and closing the program may leave one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from ergo_cli.bundle.schema import JournalEntry
from ergo_cli.programs.recorded import JournalFault, RecordedEntry
from ergo_cli.supervisor.journals import End, EpisodeLog
from ergo_cli.supervisor.seam import Outcome, RunTermination

WHERE = "tests.support.journal_kind:KIND"


class Notes(Struct, frozen=True):
    """What was recorded of one episode, or of closing the program."""

    entries: Sequence[RecordedEntry]


class NotesReader:
    """Reads notes."""

    def __init__(self, artifacts: Mapping[str, bytes]) -> None:
        self._artifacts = artifacts
        self.named: set[str] = set()

    def episode(self, entries: Sequence[RecordedEntry]) -> Notes:
        for entry in entries:
            for call in entry.calls:
                for place, record in enumerate(call.records, call.first + 1):
                    self._read(json.loads(record), entry.index, place)
        return Notes(tuple(entries))

    def close(self, entry: RecordedEntry | None) -> Notes | None:
        return None if entry is None else self.episode([entry])

    def _read(self, note: dict[str, Any], entry: int, place: int) -> None:
        if "fault" in note:
            raise JournalFault(note["fault"], entry, place)
        name = note.get("artifact")
        if name is None:
            return
        if name not in self._artifacts:
            raise JournalFault("it is not there", artifact=name)
        self.named.add(name)


class NotesActing(Struct, frozen=True):
    """What the reading of journals asks of a kind that acts."""

    def reader(self, artifacts: Mapping[str, bytes]) -> NotesReader:
        return NotesReader(artifacts)


class NotesKind(Struct, frozen=True):
    """The kind itself."""

    name: str = "notes"
    tag: str = "npv1"
    computing: None = None
    acting: NotesActing = NotesActing()


KIND = NotesKind()


def entry(
    episode_id: int | None,
    run_id: str,
    *notes: object,
    calls: int = 1,
    termination: RunTermination = Outcome.COMPLETED,
) -> bytes:
    """The text of an entry, as an invoker and the host leave it: its last call holds these notes, those before none."""
    log = EpisodeLog()
    for left in reversed(range(calls)):
        log.begin(run_id)
        log.add(json.dumps(note, separators=(",", ":")).encode() for note in notes if not left)
        log.end(End(termination))
    return JournalEntry(episode_id, run_id, log.drain().records).encode()

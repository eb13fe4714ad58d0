"""Recorded journals as plain values, and the differences of two of them (spec 00 §13.4, §13.7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Protocol, runtime_checkable

from msgspec import Struct

from ergo_cli.core.json import JsonValue, Location
from ergo_cli.core.levels import Level
from ergo_cli.supervisor.journals import Begin, End


class RecordedCall(Struct, frozen=True):
    """One call of a program: its frames, the texts between them; ``first`` is the place of ``begin`` in the entry."""

    begin: Begin
    records: tuple[bytes, ...]
    end: End
    first: int


class RecordedEntry(Struct, frozen=True):
    """What one run recorded of one episode; ``index`` is the entry's place in ``journals``.

    ``episode_id`` is None for what closing the program recorded. The entry of a run that another one spawned may have
    no calls: ``records`` are then all that it holds.
    """

    index: int
    episode_id: int | None
    run_id: str
    calls: tuple[RecordedCall, ...]
    records: tuple[bytes, ...] = ()


class JournalFault(ValueError):
    """A journal that a kind cannot have recorded: at which record of which entry, or for which artifact."""

    def __init__(
        self, why: str, entry: int | None = None, record: int | None = None, *, artifact: str | None = None
    ) -> None:
        super().__init__(why)
        self.entry = entry
        self.record = record
        self.artifact = artifact


class Episode(Protocol):
    """A recorded episode, as its kind reads it."""

    @property
    def entries(self) -> Sequence[RecordedEntry]:
        """Its entries: the episode's own run first, then those that it spawned."""
        ...


@runtime_checkable
class Reasoned(Protocol):
    """An episode of a kind whose programs have states."""

    def reasons(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """By run, in the order of the entries, each state with one line why it ran, ran again or was left out."""
        ...


class JournalReader(Protocol):
    """Reads the journals of one bundle, episode by episode in recorded order. Raises JournalFault."""

    @property
    def named(self) -> Set[str]:
        """The ids of all artifacts that the records read so far name."""
        ...

    def episode(self, entries: Sequence[RecordedEntry]) -> Episode:
        """Read the next episode; ``entries`` are that of its run, then those of the runs that it spawned."""
        ...

    def close(self, entry: RecordedEntry | None) -> Episode | None:
        """What closing the program recorded; ``entry`` is None where nothing was."""
        ...


class RecordLine(Struct, frozen=True):
    """A record for readers: its name in the words of its kind, and its fields; None where it has none."""

    name: str
    fields: JsonValue = None


class LogDifference(Struct, frozen=True):
    """Where the log of a run parts from the recorded one (spec 40 §9.2): what text reports show beside the leaf.

    ``expected`` and ``actual`` are whole records, None where a side has none; the hashes are those of the two event
    streams, or of the two states. ``error`` is what ended today's call, where the recorded one went on.
    """

    run_id: str
    first_divergent_seq: int
    common_prefix: int
    expected: JsonValue
    actual: JsonValue
    expected_hash: str | None
    actual_hash: str | None
    error: str | None = None
    lines: tuple[RecordLine | None, RecordLine | None] = (None, None)
    """Both records for readers."""
    state: tuple[tuple[str, JsonValue, JsonValue], ...] = ()
    """The members of a state that differ, each with both values; empty where only digests are known."""
    states: tuple[bytes, ...] = ()
    """Where only digests are known: today's states as JSON texts, in order; the last is the one that differs."""
    before: tuple[tuple[str, JsonValue], ...] = ()
    """The members of the state before the record, those that were looked at when it was made."""
    place: str | None = None
    """Where the record stands, for readers; None where its run and its number say so."""


class JournalDifference(Struct, frozen=True):
    """One difference inside a journal; ``location`` starts at ``journals``.

    ``node`` is the step, action, state or stage; ``cause`` the name that the kind's specification gives the difference;
    ``origin`` the first stage upstream whose output differs, where the kind knows. ``level`` is the gravest unless the
    kind says that the same was decided and done.
    """

    location: Location
    expected: JsonValue
    actual: JsonValue
    node: str | None = None
    cause: str | None = None
    log: LogDifference | None = None
    origin: str | None = None
    level: Level = Level.DECISION

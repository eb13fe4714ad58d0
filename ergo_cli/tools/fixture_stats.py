"""``ergo fixture inspect`` and ``validate``: the counts and faults of an event stream (spec 10 §7.1, 30 §23.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from msgspec import Struct

from ergo_cli.core.digest_set import DigestSet
from ergo_cli.errors import EventError
from ergo_cli.events.exact_reader import RecordFault
from ergo_cli.events.external import EpisodeStart, HostedEvent
from ergo_cli.events.records import read_record
from ergo_cli.events.stream import LineTooLong, bad_line, split_lines, too_long
from ergo_cli.host.event_input import open_source, source_label

_FIX_EMPTY = "give the episode an event, or remove its `episode_start`"
_FIX_REPEATED = "give each event an id of its own; one without is called fixture_evt_<n>, n counting all events"


class EpisodeCount(Struct, frozen=True):
    """An episode: its label, given or numbered, and its number of events."""

    label: str
    event_count: int


class FixtureStats(Struct, frozen=True):
    """The counts of a fixture as its JSON document has them: event kinds ascending by name, episodes in order.

    ``events_with_payload`` counts ``{}``; ``events_with_semantic_kind`` leaves out blank ones.
    """

    total_items: int
    episode_count: int
    event_count: int
    events_with_payload: int
    events_with_semantic_kind: int
    event_kind_counts: Mapping[str, int]
    episodes: tuple[EpisodeCount, ...]


class FixtureCheck(Struct, frozen=True):
    """The counts of a fixture, None if it cannot be read to its end, and its faults in order."""

    stats: FixtureStats | None
    issues: tuple[EventError, ...] = ()


def inspect_fixture(path: str) -> FixtureStats:
    """Count the fixture at ``path``; ``-`` is standard input.

    Raises EventError ``fixture.parse_failed`` for a file that cannot be read, and for its first bad line.
    """
    try:
        return _tallied(path).stats()
    except EventError as error:
        raise _recoded(error, "fixture.parse_failed") from error


def validate_fixture(path: str) -> FixtureCheck:
    """Count and check the fixture at ``path``.

    The codes are ``fixture.parse_error`` (then the only one), ``fixture.no_events``,
    ``fixture.episode_without_events`` for each empty episode, ``fixture.duplicate_event_id`` for each id used again.
    """
    try:
        tally = _tallied(path)
    except EventError as error:
        return FixtureCheck(None, (_recoded(error, "fixture.parse_error"),))
    return FixtureCheck(tally.stats(), tuple(tally.issues(source_label(path))))


class _Group(Struct):
    label: str
    line: int
    events: int = 0


class _Tally:
    """The counts of a fixture, record by record."""

    def __init__(self) -> None:
        self.events = self._starts = self._payloads = self._semantic_kinds = 0
        self._kinds: Counter[str] = Counter()
        self._groups: list[_Group] = []
        self._ids = DigestSet()
        self._repeated: dict[str, int] = {}

    def add(self, record: EpisodeStart | HostedEvent, line: int) -> None:
        """Count one record; an event before any episode starts one."""
        if isinstance(record, EpisodeStart):
            self._starts += 1
            self._groups.append(_Group(record.label if record.label is not None else f"E{self._starts}", line))
            return
        if not self._groups:
            self._groups.append(_Group("E1", line))
        self._groups[-1].events += 1
        self.events += 1
        self._kinds[record.kind.value] += 1
        self._payloads += record.payload is not None
        self._semantic_kinds += bool((record.semantic_kind or "").strip())
        if not self._ids.add(record.event_id):
            self._repeated.setdefault(record.event_id, line)

    def stats(self) -> FixtureStats:
        """The counts."""
        return FixtureStats(
            total_items=self._starts + self.events,
            episode_count=len(self._groups),
            event_count=self.events,
            events_with_payload=self._payloads,
            events_with_semantic_kind=self._semantic_kinds,
            event_kind_counts=dict(sorted(self._kinds.items())),
            episodes=tuple(EpisodeCount(group.label, group.events) for group in self._groups),
        )

    def issues(self, label: str) -> Iterator[EventError]:
        """The faults of a fixture whose lines can all be read."""
        if not self.events:
            message, fix = "fixture contained no events", "give the stream at least one event"
            yield EventError("fixture.no_events", message, where=label, fix=fix)
        for group in self._groups:
            if not group.events:
                message, where = f"episode '{group.label}' has no events", f"{label}:{group.line}:1"
                yield EventError("fixture.episode_without_events", message, where=where, fix=_FIX_EMPTY)
        for event_id, line in self._repeated.items():
            message, where = f"event id '{event_id}' is used twice", f"{label}:{line}:1 fixture event '{event_id}'"
            yield EventError("fixture.duplicate_event_id", message, where=where, fix=_FIX_REPEATED)


def _tallied(path: str) -> _Tally:
    label, tally, number = source_label(path), _Tally(), 0
    with open_source(path) as chunks:
        try:
            for number, text in split_lines(chunks):
                record = read_record(text, tally.events + 1)
                if record is not None:
                    tally.add(record, number)
        except RecordFault as fault:
            raise bad_line(label, number, fault) from fault
        except LineTooLong as error:
            raise too_long(label, error) from error
    return tally


def _recoded(error: EventError, code: str) -> EventError:
    return EventError(code, error.message, where=error.where, fix=error.fix, details=error.details)

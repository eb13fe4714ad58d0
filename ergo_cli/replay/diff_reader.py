"""Read one side of a diff: the records of a bundle by the key that joins them (spec 00 §12.7).

Records are read a few hundred at a time and decoded only as far as equality needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain, count, islice, repeat

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.reader import BundleReader, open_bundle, skim_bundle
from ergo_cli.bundle.schema import Version
from ergo_cli.programs.recorded import Episode
from ergo_cli.replay.joining import Key, Row

_NULL = Raw(b"null")


class _Named(Struct, frozen=True, gc=False):
    event_id: str


class _Any(Struct, frozen=True, gc=False):
    """A record that is only counted."""


class _Decided(Struct, gc=False):
    """A decision record, decoded only as far as equality and the joining of episodes need."""

    event_id: str
    episode_id: int
    decision: str
    effects: Raw
    retry_count: Raw
    schedule_at: Raw = _NULL
    deadline: Raw = _NULL
    termination: Raw = _NULL
    intent_acks: Raw = _NULL
    interruption: Raw = _NULL


_split = msgspec.json.Decoder(list[Raw]).decode
_named = msgspec.json.Decoder(list[_Named]).decode
_any = msgspec.json.Decoder(list[_Any]).decode
_decided = msgspec.json.Decoder(list[_Decided]).decode


class _Page:
    """The text of a list of decision records, split only when one of them is needed."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    @cached_property
    def records(self) -> list[Raw]:
        """The text of each record."""
        return _split(self.text)

    def decided(self) -> tuple[list[_Decided], list[int]]:
        """The decisions without episode ids, and the ids separately: ids are compared by the event they stand for."""
        decided = _decided(self.text)
        numbers = [each.episode_id for each in decided]
        for each in decided:
            each.episode_id = 0
        return decided, numbers


class Entry(Struct, frozen=True, gc=False):
    """One side's records of a key: the text of its event, its decision, and the event that its episode stands for.

    The decision is the record at ``place`` of ``page``; ``journal`` is the episode recorded by a stateful program.
    """

    place: int
    page: _Page | None
    version: Version
    decided: _Decided | None
    episode_id: int | None
    episode: Key | None
    event: Raw | None
    journal: Episode | None = None

    @property
    def decision(self) -> bytes | None:
        """The text of its decision."""
        return None if self.page is None else bytes(self.page.records[self.place])

    @property
    def kind(self) -> str | None:
        """The kind of its decision."""
        return None if self.decided is None else self.decided.decision

    def decides_as(self, other: Entry) -> bool:
        """Whether both decisions have equal texts, except for ids of episodes that stand for the same event."""
        return self.decided == other.decided and self.episode == other.episode

    def kept(self) -> Entry:
        """A copy that does not keep the rest of its page in memory."""
        event = None if self.event is None else self.event.copy()
        if self.page is None:
            return replace(self, event=event)
        page = _Page(b"[%b]" % self.decision)
        [decided], _ = page.decided()
        return replace(self, event=event, decided=decided, page=page, place=0)


class Side:
    """The records of one bundle; ``counts`` holds the decisions read so far by kind.

    Raises BundleError where the bundle cannot be opened, ReplayError for an unknown version. A malformed record raises
    MsgspecError when it is reached; with ``quick`` that is the only check for malformed text.
    """

    def __init__(self, path: str, *, quick: bool = False) -> None:
        self.reader: BundleReader = _skimmed(path) if quick else open_bundle(path)
        if self.reader.capture_version != self.reader.version.value:
            from ergo_cli.replay.preflight import check_version  # imported here: it imports everything a replay needs

            check_version(self.reader.capture_version, f"{path} capture_version")
        self.counts: Counter[str] = Counter()
        self._journals = BundleJournals(self.reader)

    @cached_property
    def events(self) -> list[Key]:
        """The keys of its events in order."""
        return _keys(self.reader.event_lists())

    @cached_property
    def event_keys(self) -> frozenset[Key]:
        """The set of keys of its events."""
        return frozenset(self.events)

    @cached_property
    def decisions(self) -> list[Key]:
        """The keys of its decisions in order."""
        return _keys(self.reader.decision_lists())

    @property
    def paired(self) -> bool:
        """Whether decision i belongs to event i for all i, as every writer produces them."""
        return len(self.events) == sum(map(len, map(_any, self.reader.decision_lists())))

    @property
    def closing(self) -> Episode | None:
        """What closing the program recorded; set once all decisions were read."""
        return self._journals.closing

    def check(self) -> None:
        """Raise BundleError with the place of the first malformed record."""
        for _ in chain(self.reader.events(), self.reader.decisions()):
            pass

    def pairs(self) -> Iterator[Row[Entry]]:
        """Each event with its decision."""
        return self._rows(self.events, self._event_texts())

    def lone_events(self) -> Iterator[Row[Entry]]:
        """Each event by itself."""
        return map(Row, count(), self.events, map(self._lone_event, self._event_texts()))

    def lone_decisions(self) -> Iterator[Row[Entry]]:
        """Each decision by itself."""
        return self._rows(self.decisions, repeat(None))

    def _rows(self, keys: list[Key], events: Iterator[Raw | None]) -> Iterator[Row[Entry]]:
        entries = self._decided(keys, events)
        yield from map(Row, count(), keys, entries)
        next(entries, None)  # advance past the last entry, which checks for leftover ones

    def _lone_event(self, text: Raw) -> Entry:
        return Entry(0, None, self.reader.version, None, None, None, text)

    def _event_texts(self) -> Iterator[Raw]:
        return chain.from_iterable(map(_split, map(_compact, self.reader.event_lists())))

    def _decided(self, keys: list[Key], events: Iterator[Raw | None]) -> Iterator[Entry]:
        """Each decision with its event and the key of the decision that first carried the number of its episode."""
        first: dict[int, Key] = {}
        key, journals = iter(keys), self._episodes()
        for text in self.reader.decision_lists():
            page = _Page(_compact(text))
            ahead = list(islice(journals, 1))  # read first: journals report malformed decisions more precisely
            decided, numbers = page.decided()
            self.counts.update([each.decision for each in decided])
            episodes = map(first.setdefault, numbers, key)
            places = range(len(decided))  # first in the zip: the end of a page must not consume an event
            version = repeat(self.reader.version)
            episode = chain(ahead, journals)
            yield from map(Entry, places, repeat(page), version, decided, numbers, episodes, events, episode)
        next(journals, None)  # advance past the end, which checks for leftover entries

    def _episodes(self) -> Iterator[Episode | None]:
        """The recorded episode of each decision, or None. Raises BundleError ``bundle.journal_invalid``."""
        if self.reader.version is Version.V3 or self.reader.kind.acting is None:
            self._journals.check()
            return repeat(None)
        return (recorded.episode for recorded in self._journals.episodes())


def _skimmed(path: str) -> BundleReader:
    """Open the bundle with ``skim_bundle``, which is safe if every list of records will be read."""
    reader = skim_bundle(path)
    if reader.repeated or next(reader.journal_texts(), None) is not None:
        return open_bundle(path)
    return reader


def _compact(text: bytes) -> bytes:
    """Strip what the pretty style adds to a list of records, so that equal records have equal texts.

    A record on one line is unchanged, whatever separates it from the next.
    """
    if b"\n" not in text:
        return text
    records = map(bytes, _split(text))
    return b"[%b]" % b",".join([msgspec.json.format(item, indent=-1) if b"\n" in item else item for item in records])


def _keys(texts: Iterable[bytes]) -> list[Key]:
    event_ids = [record.event_id for record in chain.from_iterable(map(_named, texts))]
    if len(set(event_ids)) == len(event_ids):
        return [(event_id, 0) for event_id in event_ids]
    seen: dict[str, int] = {}
    keys: list[Key] = []
    for event_id in event_ids:
        occurrence = seen.get(event_id, 0)
        seen[event_id] = occurrence + 1
        keys.append((event_id, occurrence))
    return keys

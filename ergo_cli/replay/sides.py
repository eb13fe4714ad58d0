"""One side of a diff: the records of a bundle, each under the key that it is joined by (spec 00 §12.7).

Records are read some hundred at a time, and no further than equality needs; most of them are looked into no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain, count, islice, repeat
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from ergo_cli.bundle.reader import BundleReader, open_bundle, skim_bundle
from ergo_cli.bundle.schema import Version
from ergo_cli.replay.joining import Key, Row

if TYPE_CHECKING:
    from ergo_cli.bundle.kernel_journals import KernelEpisode

_NULL = Raw(b"null")


class _Named(Struct, frozen=True, gc=False):
    event_id: str


class _Any(Struct, frozen=True, gc=False):
    """A record that is only counted."""


class _Decided(Struct, gc=False):
    """A decision record read only as far as equality and the joining of episodes need it."""

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
    """The text of a list of decision records, told apart only when one of them is looked into."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    @cached_property
    def records(self) -> list[Raw]:
        """The text of each."""
        return _split(self.text)

    def decided(self) -> tuple[list[_Decided], list[int]]:
        """The decisions without the numbers of their episodes, and these: they are compared by what they stand for."""
        decided = _decided(self.text)
        numbers = [each.episode_id for each in decided]
        for each in decided:
            each.episode_id = 0
        return decided, numbers


class Entry(Struct, frozen=True, gc=False):
    """What one side has for a key: the text of its event, its decision, and what its episode stands for.

    The decision is the record at ``place`` of ``page``; ``journal`` is what a kernel program recorded of the episode.
    """

    place: int
    page: _Page | None
    version: Version
    decided: _Decided | None
    episode_id: int | None
    episode: Key | None
    event: Raw | None
    journal: KernelEpisode | None = None

    @property
    def decision(self) -> bytes | None:
        """The text of its decision."""
        return None if self.page is None else bytes(self.page.records[self.place])

    @property
    def kind(self) -> str | None:
        """How it was decided."""
        return None if self.decided is None else self.decided.decision

    def decides_as(self, other: Entry) -> bool:
        """Whether both decisions are equal to the letter, but for the number of an episode that stands for the same."""
        return self.decided == other.decided and self.episode == other.episode

    def kept(self) -> Entry:
        """The same, holding on to nothing else of the file."""
        event = None if self.event is None else self.event.copy()
        if self.page is None:
            return replace(self, event=event)
        page = _Page(b"[%b]" % self.decision)
        [decided], _ = page.decided()
        return replace(self, event=event, decided=decided, page=page, place=0)


class Side:
    """The records of one bundle; ``counts`` holds the decisions read so far by kind.

    Raises BundleError where the bundle cannot be opened, ReplayError for a version that is not known. A record that is
    not of its form raises MsgspecError when it is reached; ``quick`` leaves it to that to find malformed text at all.
    """

    def __init__(self, path: str, *, quick: bool = False) -> None:
        self.reader: BundleReader = _skimmed(path) if quick else open_bundle(path)
        if self.reader.capture_version != self.reader.version.value:
            from ergo_cli.replay.preflight import check_version  # brings along all that a replay needs

            check_version(self.reader.capture_version, f"{path} capture_version")
        self.counts: Counter[str] = Counter()

    @cached_property
    def events(self) -> list[Key]:
        """The keys of its events in order."""
        return _keys(self.reader.event_lists())

    @cached_property
    def event_keys(self) -> frozenset[Key]:
        """The keys of its events, to be asked for one."""
        return frozenset(self.events)

    @cached_property
    def decisions(self) -> list[Key]:
        """The keys of its decisions in order."""
        return _keys(self.reader.decision_lists())

    @property
    def paired(self) -> bool:
        """Whether decision i can be taken for the one of event i, as every writer has it."""
        return len(self.events) == sum(map(len, map(_any, self.reader.decision_lists())))

    def check(self) -> None:
        """Raise BundleError at the first record that is not of its form, saying where it stands."""
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
        next(entries, None)  # behind the last one it is told what is left over

    def _lone_event(self, text: Raw) -> Entry:
        return Entry(0, None, self.reader.version, None, None, None, text)

    def _event_texts(self) -> Iterator[Raw]:
        return chain.from_iterable(map(_split, map(_compact, self.reader.event_lists())))

    def _decided(self, keys: list[Key], events: Iterator[Raw | None]) -> Iterator[Entry]:
        """Each decision with its event and the key of the decision that first carried the number of its episode."""
        first: dict[int, Key] = {}
        key, journals = iter(keys), self._journals()
        for text in self.reader.decision_lists():
            page = _Page(_compact(text))
            ahead = list(islice(journals, 1))  # comes first: where decisions are malformed, journals tell it better
            decided, numbers = page.decided()
            self.counts.update([each.decision for each in decided])
            episodes = map(first.setdefault, numbers, key)
            places = range(len(decided))  # comes first: what ends a page must not use up an event
            version = repeat(self.reader.version)
            episode = chain(ahead, journals)
            yield from map(Entry, places, repeat(page), version, decided, numbers, episodes, events, episode)
        next(journals, None)  # at their end they tell what is left over

    def _journals(self) -> Iterator[KernelEpisode | None]:
        """What was recorded of each decision's episode. Raises BundleError ``bundle.journal_invalid``."""
        if self.reader.program is None or self.reader.program.kind != "kernel":
            return repeat(None)
        from ergo_cli.bundle.kernel_journals import KernelJournals  # other bundles need not pay for it

        return (episode for _, episode in KernelJournals(self.reader).episodes())


def _skimmed(path: str) -> BundleReader:
    """The bundle opened in a hurry, if every list of records in it is going to be read."""
    reader = skim_bundle(path)
    if reader.repeated or next(reader.journal_texts(), None) is not None:
        return open_bundle(path)
    return reader


def _compact(text: bytes) -> bytes:
    """The text of a list of records without what the pretty style adds to one, so that equal records are equal texts.

    A record on one line stays to the letter, whatever stands between it and the next.
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

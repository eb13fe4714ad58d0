"""One side of a diff: the records of a bundle, each under the key that it is joined by (spec 00 §12.7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain, repeat
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from ergo_cli.bundle.reader import BundleReader, open_bundle
from ergo_cli.bundle.schema import Version
from ergo_cli.replay.joining import Key, Row
from ergo_cli.replay.preflight import check_version

if TYPE_CHECKING:
    from ergo_cli.bundle.kernel_journals import KernelEpisode

_NULL = Raw(b"null")


class _Named(Struct, frozen=True, gc=False):
    event_id: str


class _Decided(Struct, frozen=True, gc=False):
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


_named = msgspec.json.Decoder(_Named).decode
_decided = msgspec.json.Decoder(_Decided).decode


class Entry(Struct, frozen=True, gc=False):
    """What one side has for a key: the texts of its event and of its decision, and what its episode stands for.

    ``journal`` is what a kernel program recorded of the episode.
    """

    version: Version
    event: bytes | None
    decision: bytes | None
    decided: _Decided | None
    episode: Key | None
    journal: KernelEpisode | None = None

    @property
    def kind(self) -> str | None:
        """How it was decided."""
        return None if self.decided is None else self.decided.decision

    @property
    def episode_id(self) -> int | None:
        """The number of its episode."""
        return None if self.decided is None else self.decided.episode_id

    def decides_as(self, other: Entry) -> bool:
        """Whether both decisions are equal to the letter, but for the number of an episode that stands for the same."""
        if self.episode != other.episode:
            return False
        if self.decision == other.decision or self.decided is None or other.decided is None:
            return self.decision == other.decision
        return msgspec.structs.replace(self.decided, episode_id=other.decided.episode_id) == other.decided


class Side:
    """The records of one bundle; ``counts`` holds the decisions read so far by kind.

    Raises BundleError where the bundle cannot be opened, ReplayError for a version that is not known. A record that is
    not of its form raises MsgspecError when it is reached.
    """

    def __init__(self, path: str) -> None:
        self.reader: BundleReader = open_bundle(path)
        check_version(self.reader.capture_version, f"{path} capture_version")
        self.counts: Counter[str] = Counter()

    @cached_property
    def events(self) -> list[Key]:
        """The keys of its events in order."""
        return _keys(_named(text).event_id for text in self.reader.event_texts())

    @cached_property
    def event_keys(self) -> frozenset[Key]:
        """The keys of its events, to be asked for one."""
        return frozenset(self.events)

    @cached_property
    def decisions(self) -> list[Key]:
        """The keys of its decisions in order."""
        return _keys(_named(text).event_id for text in self.reader.decision_texts())

    @cached_property
    def paired(self) -> bool:
        """Whether decision i can be taken for the one of event i, as every writer has it."""
        return len(self.events) == sum(1 for _ in self.reader.decision_texts())

    def check(self) -> None:
        """Raise BundleError at the first record that is not of its form, saying where it stands."""
        for _ in chain(self.reader.events(), self.reader.decisions()):
            pass

    def pairs(self) -> Iterator[Row[Entry]]:
        """Each event with its decision."""
        episodes: dict[int, Key] = {}
        texts = zip(self.events, self._event_texts(), self._decision_texts(), self._journals(), strict=True)
        for seq, (key, event, decision, journal) in enumerate(texts):
            yield Row(seq, key, self._entry(key, event, decision, episodes, journal))

    def lone_events(self) -> Iterator[Row[Entry]]:
        """Each event by itself."""
        for seq, (key, event) in enumerate(zip(self.events, self._event_texts(), strict=True)):
            yield Row(seq, key, Entry(self.reader.version, event, None, None, None))

    def lone_decisions(self) -> Iterator[Row[Entry]]:
        """Each decision by itself."""
        episodes: dict[int, Key] = {}
        texts = zip(self.decisions, self._decision_texts(), self._journals(), strict=True)
        for seq, (key, text, journal) in enumerate(texts):
            yield Row(seq, key, self._entry(key, None, text, episodes, journal))

    def _event_texts(self) -> Iterator[bytes]:
        return map(_compact, self.reader.event_texts())

    def _decision_texts(self) -> Iterator[bytes]:
        return map(_compact, self.reader.decision_texts())

    def _journals(self) -> Iterator[KernelEpisode | None]:
        """What was recorded of each decision's episode. Raises BundleError ``bundle.journal_invalid``."""
        if self.reader.program is None or self.reader.program.kind != "kernel":
            return repeat(None, self.reader.decision_count)
        from ergo_cli.bundle.kernel_journals import KernelJournals  # other bundles need not pay for it

        return (episode for _, episode in KernelJournals(self.reader).episodes())

    def _entry(
        self, key: Key, event: bytes | None, decision: bytes, episodes: dict[int, Key], journal: KernelEpisode | None
    ) -> Entry:
        decided = _decided(decision)
        episode = episodes.setdefault(decided.episode_id, key)
        entry = Entry(self.reader.version, event, decision, decided, episode, journal)
        self.counts[decided.decision] += 1
        return entry


def _compact(text: bytes) -> bytes:
    """The text of a record without what the pretty style adds, so that equal records are equal texts."""
    return msgspec.json.format(text, indent=-1) if b"\n" in text else text


def _keys(event_ids: Iterable[str]) -> list[Key]:
    seen: dict[str, int] = {}
    keys: list[Key] = []
    for event_id in event_ids:
        occurrence = seen.get(event_id, 0)
        seen[event_id] = occurrence + 1
        keys.append((event_id, occurrence))
    return keys

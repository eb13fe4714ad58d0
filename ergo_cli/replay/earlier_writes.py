"""Which decisions of a bundle wrote each member of the context, and the last of them before another (spec 10 §13)."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice

from ergo_cli.bundle.reader import BundleReader
from ergo_cli.replay.explaining import Decided, decided_in

_HELD = 5000
"""How many decisions that write are held at a time: a chain goes back from one to the next."""


class EarlierWrites:
    """The writes of the decisions before ``end``; the bundle is read again for decisions that are not held."""

    def __init__(self, reader: BundleReader, end: int) -> None:
        self._reader = reader
        self._places: dict[str, array[int]] = {}
        self._held: dict[int, Decided] = {}
        for each in self._hold(end):
            for effect in each.record.effects:
                for write in effect.effect.writes:
                    places = self._places.setdefault(write.key, array("q"))
                    if not places or places[-1] != each.seq:
                        places.append(each.seq)

    def last(self, key: str, before: int) -> Decided | None:
        """The last decision before a place that wrote a key."""
        places = self._places.get(key)
        index = 0 if places is None else bisect_left(places, before)
        if places is None or not index:
            return None
        seq = places[index - 1]
        if seq not in self._held:
            for _ in self._hold(seq + 1):
                pass
        return self._held[seq]

    def _hold(self, end: int) -> Iterator[Decided]:
        """The decisions before ``end`` that write, of which the last ones are held from now on."""
        self._held.clear()
        for each in islice(decided_in(self._reader), end):
            if any(effect.effect.writes for effect in each.record.effects):
                self._held[each.seq] = each
                if len(self._held) > _HELD:
                    del self._held[next(iter(self._held))]
                yield each

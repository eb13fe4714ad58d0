"""A set of texts that costs about twenty bytes per member, or none, independent of their length (spec 00 §12.2).

Texts that count on (``e-1``, ``e-2``, …) are kept as one ``CountingIds``; all others by their digests.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from struct import Struct

_NUMBERED = re.compile(r"(.*?)([0-9]{1,18})", re.DOTALL)
_LIMIT = 10**18  # one digit more than ``_NUMBERED`` takes


class CountingIds:
    """Texts that count on from ``first``: each is the one before it with the number at its end raised by one."""

    def __init__(self, first: str) -> None:
        match = _NUMBERED.fullmatch(first)
        prefix, digits = match.groups() if match else (first, "")
        self._pattern = f"{prefix.replace('%', '%%')}%0{len(digits)}d"
        self._first = self._next = int(digits or "0")
        self._upcoming = first

    def __len__(self) -> int:
        return self._next - self._first

    def __contains__(self, text: str) -> bool:
        if len(text) == len(self._upcoming) and text >= self._upcoming:  # true for most lookups
            return False
        match = _NUMBERED.fullmatch(text)
        return match is not None and self._first <= int(match[2]) < self._next and text == self._pattern % int(match[2])

    def continues(self, texts: Sequence[str]) -> bool:
        """Whether these are the next texts, all of them; then they are counted."""
        end = self._next + len(texts)
        if not texts or end > _LIMIT or texts[-1] != self._pattern % (end - 1):
            return False
        if list(map(self._pattern.__mod__, range(self._next, end))) != list(texts):
            return False
        self._next, self._upcoming = end, self._pattern % end
        return True


_SIZE = 16
_FILL = 8
"""Digests a bucket holds on average before one more bucket is made: a search stays one short scan."""
_START = 4096
"""Buckets of an empty set, so that one of usual size never needs to grow."""

_HASHER = blake2b(digest_size=_SIZE)  # copying one is cheaper than making one
_ADDRESS = Struct("<I12x").unpack


class DigestSet:
    """Remembers texts by their 128-bit digests, equal digests being equal texts; texts that count on need no digest.

    Linear hashing: each bucket is one byte string of digests laid end to end, and every few additions one bucket is
    split in two. Growing never pauses and never holds the set twice.
    """

    def __init__(self) -> None:
        self._buckets = [b""] * _START
        self._half = _START  # how many of the buckets the current round splits
        self._split_so_far = 0
        self._count = 0
        self._counting: CountingIds | None = None  # the first texts, while they count on

    def __len__(self) -> int:
        return self._count + len(self._counting or ())

    def add(self, text: str) -> bool:
        """Remember ``text``; False if it was known already."""
        return self.add_all((text,)) == 1

    def add_all(self, texts: Sequence[str]) -> int:
        """Remember ``texts`` up to the first that was known already; how many were new."""
        if self._continues(texts):
            return len(texts)
        if self._counting is not None:
            known = next((index for index, text in enumerate(texts) if text in self._counting), len(texts))
            texts = texts[:known]
        copy, address, buckets = _HASHER.copy, _ADDRESS, self._buckets
        split_so_far, mask = self._split_so_far, self._half - 1
        wider, new = mask + self._half, 0
        for text in texts:  # ``_digest`` and ``_place``, inlined: this runs once an event
            hasher = copy()
            hasher.update(text.encode())
            digest = hasher.digest()
            bits: int = address(digest)[0]
            place = bits & mask
            if place < split_so_far:
                place = bits & wider
            bucket = buckets[place]
            if digest in bucket and _holds(bucket, digest):
                break
            buckets[place] = bucket + digest
            new += 1
        self._count += new
        while self._count > _FILL * len(buckets):
            self._split()
        return new

    def __contains__(self, text: str) -> bool:
        if self._counting is not None and text in self._counting:
            return True
        digest = _digest(text)
        return _holds(self._buckets[self._place(digest)], digest)

    def _continues(self, texts: Sequence[str]) -> bool:
        """Whether all texts added so far, and then ``texts``, count on without a gap."""
        if self._count or not texts:
            return False
        counting = self._counting or CountingIds(texts[0])
        if counting.continues(texts):
            self._counting = counting
            return True
        return False

    def _place(self, digest: bytes) -> int:
        bits: int = _ADDRESS(digest)[0]
        place = bits & (self._half - 1)
        return place if place >= self._split_so_far else bits & (2 * self._half - 1)

    def _split(self) -> None:
        """Divide the next bucket of the round by the address bit that the round adds."""
        bucket = self._buckets[self._split_so_far]
        byte, bit = divmod(self._half.bit_length() - 1, 8)
        digests = [bucket[at : at + _SIZE] for at in range(0, len(bucket), _SIZE)]
        staying = b"".join([digest for digest in digests if not digest[byte] >> bit & 1])
        leaving = b"".join([digest for digest in digests if digest[byte] >> bit & 1])
        self._buckets[self._split_so_far] = staying
        self._buckets.append(leaving)
        self._split_so_far += 1
        if self._split_so_far == self._half:
            self._half, self._split_so_far = 2 * self._half, 0


def _digest(text: str) -> bytes:
    hasher = _HASHER.copy()
    hasher.update(text.encode())
    return hasher.digest()


def _holds(bucket: bytes, digest: bytes) -> bool:
    found = bucket.find(digest)
    while found > 0 and found % _SIZE:  # found across the border of two neighbours, by chance
        found = bucket.find(digest, found + 1)
    return found >= 0

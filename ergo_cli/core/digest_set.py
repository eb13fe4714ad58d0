"""A set of texts that costs about twenty-five bytes a member, whatever their length (spec 00 §12.2)."""

from __future__ import annotations

from hashlib import blake2b
from struct import Struct, iter_unpack

_SIZE = 16
_FILL = 24
"""Digests a bucket holds on average before one more bucket is made: a search stays one short scan."""

_HASHER = blake2b(digest_size=_SIZE)  # copying one is cheaper than making one
_ADDRESS = Struct("<I12x").unpack


class DigestSet:
    """Remembers texts by their 128-bit digests; equal digests are equal texts.

    Linear hashing: each bucket is one byte string of digests laid end to end, and every few additions one bucket is
    split in two. Growing never pauses and never holds the set twice.
    """

    def __init__(self) -> None:
        # by the low bits of a digest; a bucket not yet split stands in both its places
        self._buckets: list[bytearray] = [bytearray()]
        self._mask = 0
        self._half = 1  # how many of the buckets the current round splits
        self._split_so_far = 1
        self._count = 0
        self._limit = _FILL

    def __len__(self) -> int:
        return self._count

    def add(self, text: str) -> bool:
        """Remember ``text``; False if it was known already."""
        hasher = _HASHER.copy()  # what ``_digest`` does: this is called once an event
        hasher.update(text.encode())
        digest = hasher.digest()
        bits: int = _ADDRESS(digest)[0]
        bucket = self._buckets[bits & self._mask]
        if digest in bucket and _holds(bucket, digest):
            return False
        bucket += digest
        self._count += 1
        if self._count > self._limit:
            self._split()
        return True

    def __contains__(self, text: str) -> bool:
        digest = _digest(text)
        return _holds(self._bucket(digest), digest)

    def _bucket(self, digest: bytes) -> bytearray:
        bits: int = _ADDRESS(digest)[0]
        return self._buckets[bits & self._mask]

    def _split(self) -> None:
        """Divide the next bucket of the round by the address bit that the round adds."""
        if self._split_so_far == self._half:
            self._start_round()
        low = self._split_so_far
        byte, bit = divmod(self._half.bit_length() - 1, 8)
        halves = bytearray(), bytearray()
        digest: bytes
        for (digest,) in iter_unpack(f"{_SIZE}s", self._buckets[low]):
            halves[digest[byte] >> bit & 1].extend(digest)
        self._buckets[low], self._buckets[low + self._half] = halves
        self._split_so_far += 1
        self._limit += _FILL

    def _start_round(self) -> None:
        self._half = len(self._buckets)
        self._buckets *= 2
        self._mask = len(self._buckets) - 1
        self._split_so_far = 0


def _digest(text: str) -> bytes:
    hasher = _HASHER.copy()
    hasher.update(text.encode())
    return hasher.digest()


def _holds(bucket: bytearray, digest: bytes) -> bool:
    found = bucket.find(digest)
    while found > 0 and found % _SIZE:  # the ends of two neighbours spell it by chance
        found = bucket.find(digest, found + 1)
    return found >= 0

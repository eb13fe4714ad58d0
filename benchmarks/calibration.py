"""How fast the machine is right now: a fixed loop of the kind of work that ergo does, to judge figures against."""

from __future__ import annotations

import time
from hashlib import sha256

import msgspec

_TEXT = b'{"armed":true,"price":107.25,"quantity":61.5,"venue":"main"}'
_ROUNDS = 20_000


def calibration_us() -> float:
    """µs of one round: decode, look up, compute, encode, hash; the best of seven."""
    return min(_timed() for _ in range(7))


def _timed() -> float:
    decode, encode = msgspec.json.decode, msgspec.json.Encoder(order="sorted").encode
    start = time.perf_counter()
    for _ in range(_ROUNDS):
        members = decode(_TEXT)
        members["price"] = members["price"] * members["quantity"]
        sha256(encode(members)).hexdigest()
    return (time.perf_counter() - start) / _ROUNDS * 1e6

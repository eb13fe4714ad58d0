"""SipHash-1-3 with a zero key, which legacy evidence bundles are hashed with (spec 40 §12)."""

from __future__ import annotations

from collections.abc import Iterator

_WORD = 2**64 - 1
_State = tuple[int, int, int, int]
_INITIAL: _State = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def siphash13(data: bytes) -> int:
    """The 64-bit hash: one round for each word, three at the end."""
    state = _INITIAL
    for word in _words(data):
        v0, v1, v2, v3 = state
        v0, v1, v2, v3 = _round((v0, v1, v2, v3 ^ word))
        state = (v0 ^ word, v1, v2, v3)
    v0, v1, v2, v3 = state
    state = (v0, v1, v2 ^ 0xFF, v3)
    for _ in range(3):
        state = _round(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _words(data: bytes) -> Iterator[int]:
    """Little-endian words; the last has what remains, and the length in its top byte."""
    whole = len(data) - len(data) % 8
    for start in range(0, whole, 8):
        yield int.from_bytes(data[start : start + 8], "little")
    yield int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56


def _round(state: _State) -> _State:
    v0, v1, v2, v3 = state
    v0 = (v0 + v1) & _WORD
    v1 = _rotated(v1, 13) ^ v0
    v0 = _rotated(v0, 32)
    v2 = (v2 + v3) & _WORD
    v3 = _rotated(v3, 16) ^ v2
    v0 = (v0 + v3) & _WORD
    v3 = _rotated(v3, 21) ^ v0
    v2 = (v2 + v1) & _WORD
    v1 = _rotated(v1, 17) ^ v2
    v2 = _rotated(v2, 32)
    return v0, v1, v2, v3


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & _WORD

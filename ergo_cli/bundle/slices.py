"""Lists of records cut into chunks of whole records, without decoding them (spec 00 §5).

Where a chunk may end is guessed from the bytes that stand between the first two records, which are the same between all
records of any regular layout. The guess is proven by a decoder that passes over the records: text that makes a list
between two brackets is a run of whole records. Where the guess fails, brackets are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from ergo_cli.bundle.window import BLOCK, TextFault, Window, end_of_value
from ergo_cli.core.json import JsonError, decode

_BLANK = b" \t\r\n"
_COMMA = re.compile(rb"[ \t\r\n]*+,[ \t\r\n]*+")
_SEAM = re.compile(rb'\}[ \t\r\n]*+,[ \t\r\n]*+\{[ \t\r\n]*+"[^"\\]*+"')


class _Any(Struct):
    """An object of which nothing is kept."""


_pass_over = msgspec.json.Decoder(list[_Any]).decode
_split = msgspec.json.Decoder(list[Raw]).decode


class Chunk(Struct, frozen=True, gc=False):
    """A run of whole records: its place and length in the file, and the number of its first record in the list."""

    offset: int
    length: int
    first: int


def cut_list(window: Window, follower: bytes, *, proven: bool = True) -> Iterator[tuple[Chunk, int]]:
    """The chunks of the list that begins ahead, each with how many records it has; the window ends up behind the list.

    ``follower`` is the name, in quotes, of the member that usually comes next. A guess that is not ``proven`` shows
    when its chunk is decoded, and numbers of records are not known but for the first chunk. Raises TextFault.
    """
    window.expect(b"[")
    if window.next() == b"]":
        window.at += 1
        return
    first, seam = 0, None
    while True:
        if seam is None or proven:
            end, count = _cut(window, seam, follower)
        else:
            end, count = _guess(window, seam, follower), 0
        yield Chunk(window.offset, end - window.at, first), count
        seam = seam or _seam(window, end)
        first += count
        window.at = end
        if window.next() != b",":
            return window.expect(b"]")
        window.at += 1
        if window.next() == b"]":
            raise window.fault("trailing comma in a list")


def split_texts(text: bytes) -> list[bytes]:
    """The texts of the records of a chunk."""
    return [bytes(item) for item in _split(b"[" + text + b"]")]


def record_offset(text: bytes, index: int) -> int:
    """Where in the text of a chunk the record of this index begins."""
    at = 0
    for _ in range(index):
        comma = _COMMA.match(text, end_of_value(text, at) or 0)
        at = comma.end() if comma else at
    return at


def _guess(window: Window, seam: bytes, follower: bytes) -> int:
    """Where the next chunk seems to end in the window's text."""
    window.hold(BLOCK + len(seam))
    return _end_of_list(window, follower) or _last_seam(window, seam)


def _cut(window: Window, seam: bytes | None, follower: bytes) -> tuple[int, int]:
    """Where the next chunk ends in the window's text, and how many records it has."""
    if seam is not None:
        end = _guess(window, seam, follower)
        count = _prove(window, end)
        if count is not None:
            return end, count
        length = end - window.at
    else:
        length = 0
    end = _count_brackets(window, length)
    count = _prove(window, end)
    if count is None:
        raise _fault_in(window, end)
    return end, count


def _prove(window: Window, end: int) -> int | None:
    """How many records the text up to ``end`` is; None if it is no run of whole records."""
    try:
        return len(_pass_over(b"[" + window.text[window.at : end] + b"]"))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _seam(window: Window, end: int) -> bytes | None:
    match = _SEAM.match(window.text, end - 1)
    return match[0] if match else None


def _end_of_list(window: Window, follower: bytes) -> int:
    """Where the last record of the list ends, if the member behind the list is in sight; else 0."""
    place = window.text.find(follower, window.at, window.at + BLOCK)
    if place < 0:
        return 0
    before = window.text[window.at : place].rstrip(_BLANK)
    if not before.endswith(b","):
        return 0
    before = before[:-1].rstrip(_BLANK)
    return window.at + len(before[:-1].rstrip(_BLANK)) if before.endswith(b"]") else 0


def _last_seam(window: Window, seam: bytes) -> int:
    place = window.text.rfind(seam, window.at, window.at + BLOCK)
    return place + 1 if place >= 0 else min(window.at + BLOCK, len(window.text))


def _count_brackets(window: Window, length: int) -> int:
    """Where the chunk ends that has one record at least, and then as many as end within ``length`` bytes."""
    end = window.value_end()
    limit = window.at + length
    while end < limit and (comma := _COMMA.match(window.text, end)):
        after = end_of_value(window.text, comma.end())
        if after is None or after == comma.end():
            break
        end = after
    return end


def _fault_in(window: Window, end: int) -> TextFault:
    """What is wrong with the first record up to ``end`` that is no JSON object."""
    start = window.at
    while start < end:
        stop = end_of_value(window.text, start) or end
        offset = window.offset + start - window.at
        try:
            value = decode(window.text[start:stop])
        except JsonError as error:
            return TextFault(str(error), offset + (error.offset or 0))
        if not isinstance(value, dict):
            return TextFault("a record must be an object", offset)
        comma = _COMMA.match(window.text, stop)
        start = comma.end() if comma else end
    return window.fault("malformed list of records")

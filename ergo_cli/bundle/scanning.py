"""Locate values, members and records in the text of a bundle without decoding records (spec 11 §2.1, 00 §5).

Where a chunk of records may end is guessed from the bytes that stand between the first two records, which are the same
between all records of any regular layout. The guess is proven by a decoder that passes over the records: text that
makes a list between two brackets is a run of whole records. Where the guess fails, brackets are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from ergo_cli.bundle.schema import Version
from ergo_cli.core.json import JsonError, decode

BLOCK = 1 << 16
"""The usual number of bytes in the window; a longer value enlarges it."""

VALUE_LIMIT = 16 * 1024 * 1024
"""The most bytes of a member's name, of a value that is no record, and of white space between two of these."""

RECORD_LIMIT = 256 * 1024 * 1024
"""The most bytes of one record: v3 writes each byte of a payload as a number, the pretty layout on a line by itself."""

_BLANKS = re.compile(rb"[ \t\r\n]*+")
_TOKEN = re.compile(rb'([\[{])|[\]}]|"[^"\\]*+(?:\\.[^"\\]*+)*+("?)', re.DOTALL)
_SCALAR = re.compile(rb"[^,\[\]{}\" \t\r\n]*+")


class TextFault(ValueError):
    """A text that is not the expected JSON document; ``offset`` is the byte at fault."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class Window:
    """The part of a file that is in memory; everything in ``text`` before ``at`` is consumed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.text = b""
        self.at = 0
        self._start = 0

    @property
    def offset(self) -> int:
        """``at`` as an offset from the start of the file."""
        return self._start + self.at

    def more(self) -> bool:
        """Drop what is consumed and read on, twice as far each time; returns whether there was more."""
        kept = self.text[self.at :]
        block = self._file.read(max(BLOCK, len(kept)))
        self._start += self.at
        self.text, self.at = kept + block, 0
        return bool(block)

    def hold(self, size: int) -> None:
        """Read on until ``size`` unconsumed bytes are in memory, or the file ends."""
        while len(self.text) - self.at < size and self.more():
            pass

    def next(self) -> bytes:
        """Skip white space; returns the next byte without consuming it, or nothing at the end of the file."""
        skipped = 0
        while True:
            match = _BLANKS.match(self.text, self.at)
            at = match.end() if match else self.at
            skipped, self.at = skipped + at - self.at, at
            if skipped > VALUE_LIMIT:
                raise self.fault(f"more than {VALUE_LIMIT // 2**20} MiB of white space in one place")
            if self.at < len(self.text) or not self.more():
                return self.text[self.at : self.at + 1]

    def expect(self, byte: bytes) -> None:
        """Skip white space and this byte. Raises TextFault for any other byte."""
        if self.next() != byte:
            raise self.unexpected(f"`{byte.decode()}`")
        self.at += 1

    def value(self, limit: int = VALUE_LIMIT) -> bytes:
        """Skip white space and one value; returns its text. Raises TextFault as ``value_end`` does."""
        self.next()
        end = self.value_end(limit)
        text = self.text[self.at : end]
        self.at = end
        return text

    def value_end(self, limit: int) -> int:
        """The end in ``text`` of the value that begins at ``at``.

        Raises TextFault where the file ends inside it, and for one of more than ``limit`` bytes before it is read.
        """
        while True:
            end = end_of_value(self.text, self.at)
            if end == self.at:
                raise self.unexpected("a value")
            if (len(self.text) if end is None else end) - self.at > limit:
                raise self.fault(f"a name, value or record longer than {limit // 2**20} MiB")
            if end is not None:
                return end
            if not self.more():
                self.at = len(self.text)
                raise self.fault("unexpected end of file")

    def unexpected(self, wanted: str) -> TextFault:
        """The fault of a text that does not continue with ``wanted``."""
        found = self.next().decode(errors="replace")
        return self.fault(f"expected {wanted}, got " + (f"`{found}`" if found else "the end of the file"))

    def fault(self, message: str) -> TextFault:
        """The fault of the text that begins at ``at``."""
        return TextFault(message, self.offset)


def end_of_value(text: bytes, start: int) -> int | None:
    """The end of the JSON value that begins at ``start``; None where the text ends inside it.

    Counts brackets and skips strings only; a decoder checks that the value is JSON.
    """
    if text[start : start + 1] not in (b"{", b"[", b'"'):
        scalar = _SCALAR.match(text, start)
        return scalar.end() if scalar and scalar.end() < len(text) else None
    depth = 0
    for token in _TOKEN.finditer(text, start):
        if token[1] is not None:
            depth += 1
        elif token[2] is None:
            depth -= 1
        elif not token[2]:
            return None
        if depth == 0:
            return token.end()
    return None


_BLANK = b" \t\r\n"
_COMMA = re.compile(rb"[ \t\r\n]*+,[ \t\r\n]*+")
_SEAM = re.compile(rb'\}[ \t\r\n]*+,[ \t\r\n]*+\{[ \t\r\n]*+"[^"\\]*+"')


class _Any(Struct):
    """Decodes any object without keeping its members."""


_pass_over = msgspec.json.Decoder(list[_Any]).decode
_split = msgspec.json.Decoder(list[Raw]).decode


class Chunk(Struct, frozen=True, gc=False):
    """A run of whole records: its place and length in the file, and the number of its first record in the list."""

    offset: int
    length: int
    first: int


def cut_list(window: Window, follower: bytes, *, proven: bool = True) -> Iterator[tuple[Chunk, int]]:
    """Yield the chunks of the list that begins at ``window.at``, with their record counts; consumes the list.

    ``follower`` is the name, in quotes, of the member that usually comes next. Unless ``proven``, a wrong guess shows
    when its chunk is decoded, and record counts are known for the first chunk only. Raises TextFault.
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
    """The offset in a chunk's text at which the record with this index begins."""
    at = 0
    for _ in range(index):
        comma = _COMMA.match(text, end_of_value(text, at) or 0)
        at = comma.end() if comma else at
    return at


def _guess(window: Window, seam: bytes, follower: bytes) -> int:
    """Guess where the next chunk ends in the window's text."""
    window.hold(BLOCK + len(seam))
    return _end_of_list(window, follower) or _last_seam(window, seam)


def _cut(window: Window, seam: bytes | None, follower: bytes) -> tuple[int, int]:
    """The end of the next chunk in the window's text, and its record count."""
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
    """Count the records in the text up to ``end``; None if it is not a run of whole records."""
    try:
        return len(_pass_over(b"[" + window.text[window.at : end] + b"]"))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _seam(window: Window, end: int) -> bytes | None:
    match = _SEAM.match(window.text, end - 1)
    return match[0] if match else None


def _end_of_list(window: Window, follower: bytes) -> int:
    """The end of the list's last record if the member after the list is in the window, else 0."""
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
    """The end of a chunk of at least one record and of all further ones that end within ``length`` bytes."""
    end = window.value_end(RECORD_LIMIT)
    limit = window.at + length
    while end < limit and (comma := _COMMA.match(window.text, end)):
        after = end_of_value(window.text, comma.end())
        if after is None or after == comma.end():
            break
        end = after
    return end


def _fault_in(window: Window, end: int) -> TextFault:
    """The fault of the first record before ``end`` that is not a JSON object."""
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


_V3 = (
    "capture_version",
    "graph_id",
    "config",
    "events",
    "decisions",
    "adapter_provenance",
    "runtime_provenance",
    "egress_provenance",
)
_V4 = (*_V3, "program", "journals", "artifacts", "digest")
_OPTIONAL = "egress_provenance"
_LISTS = {"events": b'"decisions"', "decisions": b'"adapter_provenance"', "journals": b'"artifacts"'}
"""The members that are lists of records, each with the member that usually follows."""


class RecordList(Struct, frozen=True):
    """A list of records: its chunks and their total record count."""

    chunks: tuple[Chunk, ...] = ()
    count: int = 0


class Members:
    """The top level of a bundle: decoded values, lists of records, and the offset of each."""

    def __init__(self) -> None:
        self.version = Version.V3
        self.values: dict[str, Any] = {}
        self.lists: dict[str, RecordList] = {}
        self.offsets: dict[str, int] = {}
        self.repeated: list[str] = []


_FOREIGN = {
    b"\xef\xbb\xbf": "it begins with a byte order mark; save it as UTF-8 without one",
    b"\xff\xfe": "it is UTF-16; save it as UTF-8",
    b"\xfe\xff": "it is UTF-16; save it as UTF-8",
    b"\x1f\x8b": "it is compressed with gzip; give it the suffix .json.gz",
    b"\x28\xb5\x2f\xfd": "it is compressed with Zstandard; give it the suffix .json.zst",
    b"version https://git-lfs": "it is a pointer to a file of a large-file store; fetch that file",
    b"<<<<<<<": "it holds a merge conflict; resolve it, or capture again",
    b"<": "it is HTML or XML",
    b"\0": "it begins with a zero byte",
}
"""Beginnings of files that are often found where a bundle should be."""


def check_beginning(window: Window) -> None:
    """Raise TextFault for a text that begins as a well-known form of file which is not JSON."""
    beginning = window.text[window.at : window.at + 32]
    for foreign, message in _FOREIGN.items():
        if beginning.startswith(foreign):
            raise window.fault(message)


def scan_members(window: Window, *, proven: bool = True) -> Members:
    """Scan a whole bundle once. The last of duplicate members counts; ``proven`` as in ``cut_list``.

    Raises TextFault for a text that is not a JSON object, an unknown or missing member, and in v4 one out of order.
    """
    if not window.next():
        raise window.fault("the file is empty")
    check_beginning(window)
    members = Members()
    window.expect(b"{")
    while True:
        _scan_member(window, members, proven)
        if window.next() != b",":
            break
        window.at += 1
    window.expect(b"}")
    if window.next():
        raise window.fault("unexpected text behind the closing brace")
    _check_complete(window, members)
    return members


def _scan_member(window: Window, members: Members, proven: bool) -> None:
    name = _name(window)
    known = _V4 if members.version is Version.V4 else _V3
    if name not in known:
        allowed = ", ".join(f"`{member}`" for member in known)
        raise window.fault(f"unknown field `{name}`, expected one of {allowed}")
    if name in members.offsets:
        members.repeated.append(name)
    window.expect(b":")
    window.next()
    members.offsets[name] = window.offset
    if name in _LISTS:
        members.lists[name] = _record_list(window, _LISTS[name], proven)
        return
    if name == "artifacts" and window.next() == b"{":
        members.values[name] = _artifacts(window)
        return
    members.values[name] = _decoded(window, RECORD_LIMIT if name == "program" else VALUE_LIMIT)
    if name == "capture_version" and members.values[name] == Version.V4.value:
        members.version = Version.V4


def _name(window: Window) -> str:
    if window.next() != b'"':
        raise window.unexpected("a member name in quotes")
    return _decoded(window)


def _artifacts(window: Window) -> dict[str, Any]:
    """The artifacts, read one by one: each may be as long as a record, and there may be any number of them."""
    artifacts: dict[str, Any] = {}
    window.expect(b"{")
    if window.next() == b"}":
        window.at += 1
        return artifacts
    while True:
        name = _name(window)
        window.expect(b":")
        artifacts[name] = _decoded(window, RECORD_LIMIT)
        if window.next() != b",":
            window.expect(b"}")
            return artifacts
        window.at += 1


def _decoded(window: Window, limit: int = VALUE_LIMIT) -> Any:
    window.next()
    start = window.offset
    text = window.value(limit)
    try:
        return decode(text)
    except JsonError as error:
        raise TextFault(str(error), start + (error.offset or 0)) from error


def _record_list(window: Window, follower: bytes, proven: bool) -> RecordList:
    chunks: list[Chunk] = []
    total = 0
    for chunk, count in cut_list(window, follower, proven=proven):
        chunks.append(chunk)
        total += count
    return RecordList(tuple(chunks), total)


def _check_complete(window: Window, members: Members) -> None:
    present = list(members.offsets)
    expected = _V4 if members.version is Version.V4 else _V3
    missing = [name for name in expected if name not in present and name != _OPTIONAL]
    if missing:
        raise window.fault(f"missing field `{missing[0]}`")
    if members.version is Version.V4:
        _check_order(members, [name for name in expected if name in present])


def _check_order(members: Members, expected: list[str]) -> None:
    """Check the order of a v4 bundle's members, which lets the digest cover everything but itself."""
    for name, wanted in zip(members.offsets, expected, strict=True):
        if name != wanted:
            raise TextFault(f"field `{name}` stands where `{wanted}` belongs", members.offsets[name])

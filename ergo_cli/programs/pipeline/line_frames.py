"""Records as framed lines, which the original's tools read and write, and back (spec 60 §5.4, §28).

A line is ``<length>:<crc>:<json>``. In format 1 the JSON is a record; in format 2 it is a frame around one record, or
around a group of records that are there together or not at all. A file holds one format only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from zlib import crc32

import msgspec
from msgspec import Raw, Struct

from ergo_cli.core.json import decode
from ergo_cli.core.wire import FreeValue

_HEADER = re.compile(rb"([0-9]{1,20}):([0-9]{1,20}):")
_MEMBERS = ("journal_group_id", "journal_group_member")


class LineFormat(IntEnum):
    """How the lines of a file hold records: ``journal_format_version`` of its manifest."""

    RECORDS = 1
    FRAMES = 2


class LineFault(ValueError):
    """A line does not hold what it should; ``is_torn`` if it may be the beginning of one that does."""

    def __init__(self, message: str, is_torn: bool = False) -> None:
        super().__init__(message)
        self.is_torn = is_torn


class _RecordFrame(Struct, frozen=True, tag_field="frame_kind", tag="record_v2"):
    record: Raw


class _GroupFrame(Struct, frozen=True, tag_field="frame_kind", tag="atomic_group_v2"):
    group_id: str
    records: list[Raw]


class _Beginning(Struct, frozen=True):
    """The members by which a record, a frame and the records of a group are told apart."""

    event_id: FreeValue = None
    frame_kind: FreeValue = None
    journal_group_id: str | None = None


_encode = msgspec.json.Encoder().encode
_decode_beginning = msgspec.json.Decoder(_Beginning).decode
_decode_frame = msgspec.json.Decoder(_RecordFrame | _GroupFrame).decode


def framed(body: bytes) -> bytes:
    """The line of a body."""
    return b"%d:%d:%s\n" % (len(body), crc32(body), body)


def unframed(line: bytes) -> bytes:
    """The body of a line, given without its end. Raises LineFault."""
    header = _HEADER.match(line)
    if header is None:
        raise LineFault("it has no header", is_torn=True)
    body = line[header.end() :]
    length = int(header[1])
    if len(body) < length:
        raise LineFault(f"{length - len(body)} of its {length} bytes are missing", is_torn=True)
    if len(body) > length:
        raise LineFault(f"{len(body) - length} bytes follow its {length}")
    if crc32(body) != int(header[2]):
        raise LineFault(f"its checksum is {crc32(body)}, not {int(header[2])}")
    return body


def group_line(texts: Sequence[str]) -> bytes:
    """The line of format 2 that holds one record, or all records of one group. Raises ValueError for several groups."""
    if _decode_beginning(texts[0]).journal_group_id is None:
        (text,) = texts
        return framed(_encode(_RecordFrame(Raw(text.encode()))))
    records = [decode(text.encode()) for text in texts]
    (group_id,) = {record["journal_group_id"] for record in records}
    bare = [{name: value for name, value in record.items() if name not in _MEMBERS} for record in records]
    return framed(_encode(_GroupFrame(group_id, [Raw(_encode(record)) for record in bare])))


def lines(texts: Iterable[str]) -> tuple[LineFormat, Iterator[bytes]]:
    """All lines of a journal, and their format: the second where records form groups, so that nothing is lost."""
    groups = list(_grouped(texts))
    if all(len(group) == 1 for group in groups):
        return LineFormat.RECORDS, (framed(text.encode()) for (text,) in groups)
    return LineFormat.FRAMES, map(group_line, groups)


def _grouped(texts: Iterable[str]) -> Iterator[list[str]]:
    """Records by group, those outside of one by themselves."""
    group: list[str] = []
    current: str | None = None
    for text in texts:
        group_id = _decode_beginning(text).journal_group_id
        if group and (group_id is None or group_id != current):
            yield group
            group = []
        group.append(text)
        current = group_id
    if group:
        yield group


def texts_in(body: bytes, form: LineFormat) -> list[str]:
    """The records that a body holds, those of a group with their places in it. Raises LineFault."""
    try:
        body.decode()
        beginning = _decode_beginning(body)
        if form is LineFormat.RECORDS:
            if beginning.event_id is None:
                raise LineFault("it is no record" if beginning.frame_kind is None else "it is a frame of format 2")
            return [body.decode()]
        frame = _decode_frame(body)
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise LineFault(str(error)) from error
    if isinstance(frame, _RecordFrame):
        return [bytes(frame.record).decode()]
    if not frame.group_id or not frame.records:
        raise LineFault("its group has no name or no records")
    size = len(frame.records)
    return [_with_place(bytes(record), frame.group_id, index, size) for index, record in enumerate(frame.records)]


def _with_place(record: bytes, group_id: str, index: int, size: int) -> str:
    """The text of a record of a group: its place stands before the event."""
    members = decode(record)
    event = members.pop("event", None)
    return _encode(
        {
            **members,
            "journal_group_id": group_id,
            "journal_group_member": {"index": index, "size": size},
            "event": event,
        }
    ).decode()

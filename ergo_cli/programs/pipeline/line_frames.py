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

from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.pipeline.records import GroupMember

_HEADER = re.compile(rb"([0-9]{1,20}):([0-9]{1,20}):")
_MEMBERS = ("journal_group_id", "journal_group_member")
_NULL = Raw(b"null")


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
    journal_group_member: GroupMember | None = None


_encode = msgspec.json.Encoder().encode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode  # values keep their text
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
    group_id = _decode_beginning(texts[0]).journal_group_id
    if group_id is None:
        (text,) = texts
        return framed(_encode(_RecordFrame(Raw(text.encode()))))
    _check_group(texts)
    return framed(_encode(_GroupFrame(group_id, [_without_place(text) for text in texts])))


def lines(texts: Iterable[str], form: LineFormat) -> Iterator[bytes]:
    """The lines of the records of a journal. Raises ValueError for what is no record, and a group that is not whole."""
    for group in _grouped(texts):
        if form is LineFormat.FRAMES:
            yield group_line(group)
        else:
            (text,) = group
            yield framed(text.encode())


def is_of_group(text: str) -> bool:
    """Whether a record was appended together with others, so that only format 2 can hold it."""
    return _decode_beginning(text).journal_group_id is not None


def _grouped(texts: Iterable[str]) -> Iterator[list[str]]:
    """Records by group, those outside of one by themselves."""
    group: list[str] = []
    for text in texts:
        beginning = _decode_beginning(text)
        if beginning.event_id is None:
            raise ValueError("it is no record")
        member = beginning.journal_group_member
        if group and (member is None or member.index == 0):
            yield group
            group = []
        group.append(text)
    if group:
        yield group


def _check_group(texts: Sequence[str]) -> None:
    """Raise ValueError for records that are not all of one group, in their order."""
    found = [_decode_beginning(text) for text in texts]
    group_id, size = found[0].journal_group_id, len(texts)
    for index, each in enumerate(found):
        if each.journal_group_id != group_id or each.journal_group_member != GroupMember(index, size):
            raise ValueError(f"its group is not whole: {size} records of '{group_id}' stand together")


def _without_place(text: str) -> Raw:
    members = _decode_members(text)
    return Raw(_encode({name: value for name, value in members.items() if name not in _MEMBERS}))


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
    except RecursionError as error:
        raise LineFault("it nests too deep") from error
    if isinstance(frame, _RecordFrame):
        return [bytes(frame.record).decode()]
    if not frame.group_id or not frame.records:
        raise LineFault("its group has no name or no records")
    size = len(frame.records)
    return [_with_place(bytes(record), frame.group_id, index, size) for index, record in enumerate(frame.records)]


def _with_place(record: bytes, group_id: str, index: int, size: int) -> str:
    """The text of a record of a group: its place stands before the event."""
    members = _decode_members(record)
    event = members.pop("event", _NULL)
    place = {"journal_group_id": group_id, "journal_group_member": GroupMember(index, size)}
    return _encode({**members, **place, "event": event}).decode()

"""Read bundles lazily, any number of times, in constant memory (spec 11 §2, 00 §5)."""

from __future__ import annotations

import os
import re
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, BinaryIO, Self, TypeVar

import msgspec
from msgspec import Struct

from ergo_cli.bundle.decoding import convert_constraints, decode_decisions, decode_events, decode_plain_events
from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.scanning import (
    BLOCK,
    Chunk,
    RecordList,
    TextFault,
    Window,
    record_offset,
    scan_members,
    split_texts,
)
from ergo_cli.bundle.schema import (
    DecisionRecord,
    EventRecord,
    Header,
    ProgramRecord,
    RecordFault,
    TextDigest,
    Version,
    describe,
    digest_mismatch,
    parse_failed,
    read_failed,
)
from ergo_cli.bundle.style import Style
from ergo_cli.errors import BundleError, reason
from ergo_cli.programs.kind import Kind
from ergo_cli.programs.kinds import TEXTUAL, check_kind, find_kind
from ergo_cli.stores.durable import close_quietly, only_read
from ergo_cli.stores.files import STANDARD_INPUT, is_compressed, open_binary, read_blocks
from ergo_cli.stores.inflation import CompressionError
from ergo_cli.stores.locations import RemoteError, is_remote, local_path
from ergo_cli.supervisor.seam import Constraints

R = TypeVar("R")

_V4_START = re.compile(rb'[ \t\r\n]*+\{[ \t\r\n]*+"capture_version"[ \t\r\n]*+:[ \t\r\n]*+"v4"')
_V4_END = re.compile(rb',[ \t\r\n]*+"digest"[ \t\r\n]*+:[ \t\r\n]*+"([^"\\]*+)"[ \t\r\n]*+\}[ \t\r\n]*+\Z')
_EDGE = 4096

_encode = msgspec.json.Encoder().encode


class _Top(Struct, frozen=True, kw_only=True):
    capture_version: str
    graph_id: str
    adapter_provenance: str
    runtime_provenance: str
    egress_provenance: str | None = None
    program: ProgramRecord | None = None
    artifacts: dict[str, Any] = {}


class BundleReader:
    """An open bundle. The top level is checked on opening; records are decoded and checked when iterated.

    Every iterator can be started any number of times, also side by side. The file is closed by ``close`` or with the
    reader itself.
    """

    def __init__(self, path: str, file: BinaryIO, *, proven: bool = True) -> None:
        self.path = path
        self._file = file
        self._close = weakref.finalize(self, close_quietly, file)
        digested = _check_digest(path, file)
        file.seek(0)
        self._members = self._located(lambda: scan_members(Window(file), proven=proven))
        if self._members.version is Version.V4 and not digested:
            raise digest_mismatch(path, "its last member is not a digest as ergo writes it")
        top = self._top_level()
        self.repeated = tuple(self._members.repeated)
        """Top-level members that are written more than once; the last one counts."""
        self.version = self._members.version
        """The format used to decode records; an unknown version is decoded as v3."""
        self.capture_version = top.capture_version
        self.header = Header(top.graph_id, self._constraints(), top.runtime_provenance, top.adapter_provenance)
        self.egress_provenance = top.egress_provenance
        self.program = top.program
        if top.program is not None:
            check_kind(top.program.kind, f"{path} program.kind")
        self.artifacts: Mapping[str, bytes] = {name: _encode(item) for name, item in top.artifacts.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; no record can be read any more."""
        self._close()

    @property
    def kind_name(self) -> str:
        """The name of the kind of program that was run; v3 bundles have only one kind."""
        return TEXTUAL if self.program is None else self.program.kind

    @cached_property
    def kind(self) -> Kind[Any]:
        """The kind of program that was run; imports it."""
        return find_kind(self.kind_name)

    @property
    def graph_id(self) -> str:
        """The id of the program that was run."""
        return self.header.graph_id

    @property
    def adapter_provenance(self) -> str:
        """The adapter's fingerprint, or ``none``."""
        return self.header.adapter_provenance

    @property
    def runtime_provenance(self) -> str:
        """The program's fingerprint."""
        return self.header.runtime_provenance

    @property
    def size_bytes(self) -> int:
        """The size of the file, as it is compressed; of standard input and of an object, of what it holds."""
        if self.path == STANDARD_INPUT or is_remote(self.path):
            return self._file.seek(0, 2)
        return os.path.getsize(local_path(self.path))

    def fingerprint(self) -> str:
        """The SHA-256 of the whole text in its compact form, in whatever layout and compression it is kept."""
        return _digest_of(self._file, self._file.seek(0, 2))

    @property
    def style(self) -> Style:
        """The layout: ``PRETTY`` if a line feed follows the first brace."""
        beginning = self._chunk(Chunk(0, _EDGE, 0)).lstrip()
        return Style.PRETTY if beginning[1:2] in (b"\n", b"\r") else Style.COMPACT

    @property
    def event_count(self) -> int:
        """The number of event records."""
        return self._list("events").count

    @property
    def decision_count(self) -> int:
        """The number of decision records."""
        return self._list("decisions").count

    def events(self) -> Iterator[EventRecord]:
        """The event records in order. Raises BundleError ``bundle.parse_failed`` at one that is malformed."""
        return self._records("events", decode_events)

    def event_batches(self) -> Iterator[list[EventRecord]]:
        """The event records in lists of a few hundred. Raises as ``events``."""
        return self._batches("events", decode_events)

    def plain_event_batches(self) -> Iterator[list[EventRecord]]:
        """As ``event_batches``. Raises ValueError where a record may have a member twice, or one that is unknown."""
        return self._batches("events", decode_plain_events)

    def decisions(self) -> Iterator[DecisionRecord]:
        """The decision records in order. Raises BundleError ``bundle.parse_failed`` at one that is malformed."""
        return self._records("decisions", decode_decisions)

    def event_texts(self) -> Iterator[bytes]:
        """The texts of the event records exactly as in the file, not decoded."""
        return self._texts("events")

    def decision_texts(self) -> Iterator[bytes]:
        """The texts of the decision records exactly as in the file, not decoded."""
        return self._texts("decisions")

    def event_lists(self) -> Iterator[bytes]:
        """The event records exactly as in the file, as texts of lists of a few hundred."""
        return self._list_texts("events")

    def decision_lists(self) -> Iterator[bytes]:
        """The decision records exactly as in the file, as texts of lists of a few hundred."""
        return self._list_texts("decisions")

    def decision_blocks(self) -> Iterator[bytes]:
        """The list of decision records exactly as in the file, in blocks cut between records, without brackets."""
        separator = b""
        for chunk in self._list("decisions").chunks:
            yield separator + self._chunk(chunk)
            separator = b","

    def journal_texts(self) -> Iterator[bytes]:
        """The texts of the entries of ``journals`` exactly as in the file; empty for v3."""
        return self._texts("journals")

    def member_texts(self) -> Iterator[tuple[str, bytes]]:
        """Names and texts of the members at the top that are not lists of records.

        Their sizes were limited when the bundle was opened: those of artifacts one by one, and not their sum.
        """
        for name in self._members.values:
            self._file.seek(self._members.offsets[name])
            yield name, Window(self._file).value(sys.maxsize)

    def load(self) -> CaptureBundle:
        """The whole bundle as a value. Raises BundleError ``bundle.parse_failed``."""
        return CaptureBundle(
            self.header,
            tuple(self.events()),
            tuple(self.decisions()),
            self.egress_provenance,
            self.program,
            tuple(msgspec.json.format(text, indent=-1) for text in self.journal_texts()),
            self.artifacts,
            self.capture_version,
        )

    def _list(self, name: str) -> RecordList:
        return self._members.lists.get(name, RecordList())

    def _chunk(self, chunk: Chunk) -> bytes:
        try:
            self._file.seek(chunk.offset)
            return self._file.read(chunk.length)
        except OSError as error:
            raise read_failed(self.path, reason(error)) from error

    def _records(self, name: str, decode: Callable[[bytes, Version], list[R]]) -> Iterator[R]:
        for batch in self._batches(name, decode):
            yield from batch

    def _batches(self, name: str, decode: Callable[[bytes, Version], list[R]]) -> Iterator[list[R]]:
        for chunk in self._list(name).chunks:
            text = self._chunk(chunk)
            try:
                batch = decode(text, self.version)
            except RecordFault as fault:
                raise self._refused(name, chunk, text, fault) from fault
            yield batch

    def _texts(self, name: str) -> Iterator[bytes]:
        for chunk in self._list(name).chunks:
            yield from split_texts(self._chunk(chunk))

    def _list_texts(self, name: str) -> Iterator[bytes]:
        for chunk in self._list(name).chunks:
            yield b"[" + self._chunk(chunk) + b"]"

    def _refused(self, name: str, chunk: Chunk, text: bytes, fault: RecordFault) -> BundleError:
        offset = chunk.offset + record_offset(text, fault.index) + fault.offset
        member = f"{name}[{chunk.first + fault.index}]"
        path = f"{member}.{fault.path}" if fault.path else member
        return parse_failed(self.path, f"{fault.message} in {member}", f"{self._place(offset)} {path}")

    def _located(self, work: Callable[[], R]) -> R:
        try:
            return work()
        except TextFault as fault:
            raise parse_failed(self.path, fault.message, self._place(fault.offset)) from fault
        except OSError as error:
            raise read_failed(self.path, reason(error)) from error

    def _place(self, offset: int) -> str:
        """``file:line:column``, both from 1; columns count bytes."""
        self._file.seek(0)
        lines = column = 0
        while offset:
            block = self._file.read(min(offset, BLOCK))
            if not block:
                break
            offset -= len(block)
            newline = block.rfind(b"\n")
            lines += block.count(b"\n")
            column = len(block) - newline - 1 if newline >= 0 else column + len(block)
        return f"{self.path}:{lines + 1}:{column + 1}"

    def _top_level(self) -> _Top:
        try:
            return msgspec.convert(self._members.values, _Top)
        except msgspec.ValidationError as error:
            message, path = describe(error)
            raise self._member_refused(re.split(r"[.\[]", path)[0], message, path) from error

    def _constraints(self) -> Constraints:
        try:
            return convert_constraints(self._members.values["config"], self.version).constraints
        except RecordFault as fault:
            raise self._member_refused("config", fault.message, f"config.{fault.path}".rstrip(".")) from fault
        except ValueError as error:
            raise self._member_refused("config", str(error), "config") from error

    def _member_refused(self, member: str, message: str, path: str) -> BundleError:
        offset = self._members.offsets.get(member, 0)
        return parse_failed(self.path, f"{message} in `{member}`", f"{self._place(offset)} {path}")


def open_bundle(path: str | os.PathLike[str]) -> BundleReader:
    """Open a bundle: v3 or v4, any layout, compressed by its suffix or not; ``-`` is standard input, read once.

    Raises BundleError: ``bundle.read_failed``, ``bundle.digest_mismatch`` (v4), ``bundle.parse_failed`` for anything
    at the top level that spec 11 §2.1 refuses; ProgramError ``program.unknown_kind``.
    """
    path = os.fspath(path)
    if "\0" in path:  # open would raise ValueError
        raise read_failed(path, "the path has a zero byte")
    try:
        return BundleReader(path, seekable(path))
    except CompressionError as error:
        raise read_failed(path, str(error), error.fix) from error
    except RemoteError as error:
        raise read_failed(path, reason(error), error.fix) from error
    except IsADirectoryError as error:
        fix = "name one bundle in it; ergo replay takes folders"
        raise read_failed(path, "it is a folder", fix) from error
    except OSError as error:
        raise read_failed(path, reason(error)) from error


def skim_bundle(path: str) -> BundleReader:
    """Open a bundle without proving where records end: a wrong guess shows when they are decoded.

    Record counts are unknown and places in errors may be wrong: on any error, callers use ``open_bundle`` instead.
    Raises BundleError as ``open_bundle``, and for a file that cannot be opened twice, such as a pipe.
    """
    if not os.path.isfile(path):
        raise read_failed(path, "it is not a regular file")
    try:
        return BundleReader(path, seekable(path), proven=False)
    except CompressionError as error:
        raise read_failed(path, str(error), error.fix) from error
    except OSError as error:
        raise read_failed(path, reason(error)) from error


def seekable(path: str) -> BinaryIO:
    """The bytes of a file, decompressed by its suffix; spooled to an unnamed temporary file where it cannot be sought.

    Raises OSError and CompressionError.
    """
    if path == STANDARD_INPUT:
        return _spooled(_standard_input())
    if is_compressed(path):
        return _spooled(read_blocks(path))
    file = open_binary(path)
    if file.seekable():
        return file
    with only_read(file):
        return _spooled(iter(lambda: file.read(BLOCK), b""))


def _standard_input() -> Iterator[bytes]:
    """What is left of standard input. Raises OSError if it is closed."""
    if sys.stdin is None:
        raise OSError("standard input is closed")
    return iter(lambda: sys.stdin.buffer.read(BLOCK), b"")


def _spooled(blocks: Iterable[bytes]) -> BinaryIO:
    from ergo_cli.stores.temporaries import unnamed_file  # imported here: most bundles need no spool

    spool = unnamed_file()
    try:
        spool.writelines(blocks)
    except BaseException:
        close_quietly(spool)
        raise
    return spool


def _check_digest(path: str, file: BinaryIO) -> bool:
    """Compare the digest of a v4 bundle before reading anything else; returns whether there was one to compare."""
    file.seek(0)
    if not _V4_START.match(file.read(_EDGE)):
        return False
    size = file.seek(0, 2)
    file.seek(max(size - _EDGE, 0))
    tail = file.read()
    end = _V4_END.search(tail)
    if end is None:
        return False
    computed = _digest_of(file, size - len(tail) + end.start())
    if computed.encode() != end[1]:
        recorded = end[1].decode(errors="replace")
        raise digest_mismatch(path, f"its text has the digest {computed}, recorded is {recorded}")
    return True


def _digest_of(file: BinaryIO, length: int) -> str:
    digest = TextDigest()
    file.seek(0)
    while length:
        block = file.read(min(length, BLOCK))
        digest.update(block)
        length -= len(block)
    return digest.text()

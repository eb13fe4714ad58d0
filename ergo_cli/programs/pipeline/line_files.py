"""A store of journals in files of framed lines: a run directory (spec 60 §5.4, §28)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from ergo_cli.errors import StoreError
from ergo_cli.programs.pipeline.errors import JournalError
from ergo_cli.programs.pipeline.line_frames import LineFault, LineFormat, framed, group_line, texts_in, unframed
from ergo_cli.stores.journals import check_head, check_texts, place

_BLOCK = 1 << 18  # bytes
_MARK_EVERY = 256  # records that a scan may read in vain


class ByteFile(Protocol):
    """A file that grows at its end. Every method raises StoreError."""

    def size(self) -> int:
        """How many bytes it holds."""
        ...

    def read(self, start: int, size: int) -> bytes:
        """At most ``size`` bytes from ``start`` on; none at the end."""
        ...

    def append(self, block: bytes, at: int) -> None:
        """Write a block at the offset ``at``, whole or not at all; what stands behind it is cut off."""
        ...


class _Line(Struct, frozen=True):
    """The records of a line, the offset behind it, and whether a line feed ends it."""

    texts: list[str]
    end: int
    is_terminated: bool


class _Mark(Struct, frozen=True):
    """An offset, and how many records stand before it."""

    offset: int
    head: int


class _LineFile:
    """One journal. What a crash left of a line at the end is not there, and the next append cuts it off (H-5)."""

    def __init__(self, run: str, file: ByteFile, form: LineFormat) -> None:
        self._run = run
        self._file = file
        self._form = form
        self._marks = [_Mark(0, 0)]
        self._end = _Mark(0, 0)
        self._is_terminated = True
        self._size = 0

    def head(self) -> int:
        """How many records there are, those of other writers included."""
        size = self._file.size()
        if size != self._size:
            for line in self._lines(self._end):
                self._pass(line.end, len(line.texts), line.is_terminated)
            self._size = size
        return self._end.head

    def append(self, texts: Sequence[str]) -> None:
        """Write texts as one line."""
        line = self._line_of(texts)
        block = line if self._is_terminated else b"\n" + line
        self._file.append(block, self._end.offset)
        self._pass(self._end.offset + len(block), len(texts), True)
        self._size = self._end.offset

    def scan(self, start: int) -> Iterator[tuple[int, str]]:
        """Numbers and texts from ``start`` on."""
        mark = next(mark for mark in reversed(self._marks) if mark.head < start)
        seq = mark.head
        for line in self._lines(mark):
            if line.end > self._end.offset:
                self._pass(line.end, len(line.texts), line.is_terminated)
            for text in line.texts:
                seq += 1
                if seq >= start:
                    yield seq, text

    def torn_bytes(self) -> int:
        """How many bytes stand behind the last record: what a crash or a cut left of another one."""
        self.head()
        return sum(len(raw.strip()) for raw, _ in _raw_lines(self._file, self._end.offset))

    def _pass(self, offset: int, count: int, is_terminated: bool) -> None:
        self._end = _Mark(offset, self._end.head + count)
        self._is_terminated = is_terminated
        if self._end.head - self._marks[-1].head >= _MARK_EVERY:
            self._marks.append(self._end)

    def _line_of(self, texts: Sequence[str]) -> bytes:
        if self._form is LineFormat.FRAMES:
            return group_line(texts)
        if len(texts) > 1:
            message = f"the file of journal '{self._run}' is of format 1, whose lines hold one record each"
            raise JournalError("pipeline.journal_format", message, where=place(self._run, self._end.head + 1))
        return framed(texts[0].encode())

    def _lines(self, start: _Mark) -> Iterator[_Line]:
        """The committed lines behind a mark. Raises StoreError ``store.corrupt`` at one that is damaged."""
        head = start.head
        torn: LineFault | None = None
        for raw, end in _raw_lines(self._file, start.offset):
            content = raw.removesuffix(b"\n").removesuffix(b"\r")
            if not content.strip():
                continue
            if torn is not None:
                raise self._damaged(head + 1, torn)
            is_terminated = raw.endswith(b"\n")
            try:
                texts = texts_in(unframed(content), self._form)
            except LineFault as fault:
                if is_terminated and not fault.is_torn:
                    raise self._damaged(head + 1, fault) from fault
                torn = fault
                continue
            head += len(texts)
            yield _Line(texts, end, is_terminated)

    def _damaged(self, seq: int, fault: LineFault) -> StoreError:
        message = f"record {seq} of journal '{self._run}' is damaged: {fault}"
        return StoreError("store.corrupt", message, where=place(self._run, seq), fix="restore the file from a copy")


def _raw_lines(file: ByteFile, offset: int) -> Iterator[tuple[bytes, int]]:
    """The lines of a file from an offset on, with their ends, and the offset behind each."""
    rest = b""
    read, size = offset, file.size()
    while block := file.read(read, min(_BLOCK, size - read)):
        read += len(block)
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            offset += len(line) + 1
            yield line + b"\n", offset
    if rest:
        yield rest, offset + len(rest)


class LineFiles:
    """An EventJournal whose runs are the files given, each a journal of one format.

    Texts that are appended together become one line, so that a crash leaves all of them or none: format 2 only.
    """

    def __init__(self, files: Mapping[str, ByteFile], form: LineFormat) -> None:
        self._files = {run: _LineFile(run, file, form) for run, file in files.items()}

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Number and keep all of ``texts``, or none; return the new head."""
        file = self._files[run]
        check_head(run, file.head(), expected_head)
        check_texts(texts)
        if texts:
            file.append(texts)
        return file.head()

    def scan(self, run: str, start: int = 1, to: int | None = None) -> Iterator[tuple[int, str]]:
        """Numbers and texts from ``start`` to ``to``. Raises StoreError ``store.corrupt`` at a damaged line."""
        for seq, text in self._files[run].scan(max(start, 1)) if run in self._files else ():
            if to is not None and seq > to:
                return
            yield seq, text

    def head(self, run: str) -> int:
        """The highest number of the run; 0 for an unknown one."""
        return self._files[run].head() if run in self._files else 0

    def torn_bytes(self, run: str) -> int:
        """How many bytes stand behind the last record of a run: what a crash or a cut left of another one."""
        return self._files[run].torn_bytes()

    def runs(self) -> list[str]:
        """The ids of all runs that have records, ascending."""
        return sorted(run for run, file in self._files.items() if file.head())

"""Bytes in, numbered lines out (spec 10 §5.1, 00 §12.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

LINE_LIMIT = 16 * 1024 * 1024
"""How many bytes a line may have without its line end."""


class LineTooLong(ValueError):
    """A line beyond ``LINE_LIMIT``; the rest of it is never read."""

    def __init__(self, line: int) -> None:
        super().__init__(f"the line is longer than {LINE_LIMIT // 2**20} MiB")
        self.line = line


def split_lines(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each line with its number, from 1; ``chunks`` may be cut anywhere. Raises LineTooLong."""
    last = 0
    for piece in whole_lines(chunks):
        for number, line in numbered_lines(piece, last + 1):
            last = number
            yield number, line


def numbered_lines(piece: bytes, first: int) -> Iterator[tuple[int, bytes]]:
    """The lines of a piece, the first of them being number ``first``; one CR before an LF belongs to the line end.

    Raises LineTooLong.
    """
    for number, line in enumerate(piece.split(b"\n"), first):
        line = line.removesuffix(b"\r")
        if len(line) > LINE_LIMIT:
            raise LineTooLong(number)
        yield number, line


def set_apart(piece: bytes, mark: bytes) -> Iterator[bytes]:
    """The lines of a piece as they are, in smaller pieces: each line that holds ``mark`` by itself."""
    while (found := piece.find(mark)) >= 0:
        start, end = piece.rfind(b"\n", 0, found) + 1, piece.find(b"\n", found)
        if start:
            yield piece[: start - 1]
        if end < 0:
            yield piece[start:]
            return
        yield piece[start:end]
        piece = piece[end + 1 :]
    yield piece


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes cut at line ends only, each piece without its last LF; nothing after a line that is too long.

    ``chunks`` may be cut anywhere. A last line without LF counts. Memory is one chunk and one line.
    """
    rest: list[bytes] = []
    size = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n")
        if end >= 0:
            yield b"".join((*rest, chunk[:end]))
            chunk, rest, size = chunk[end + 1 :], [], 0
        rest.append(chunk)
        size += len(chunk)
        if size > LINE_LIMIT + 1:  # one for a CR; more than a line may have, whatever comes
            break
    if size:
        yield b"".join(rest)

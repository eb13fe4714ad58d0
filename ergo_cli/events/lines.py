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
    """Each line with its number, from 1; a line ends at LF, and one CR before it belongs to the line end.

    ``chunks`` may be cut anywhere. A last line without LF counts. Memory is one chunk and one line. Raises LineTooLong.
    """
    number = 0
    for piece in _whole_lines(chunks):
        for line in piece.split(b"\n"):
            number += 1
            line = line.removesuffix(b"\r")
            if len(line) > LINE_LIMIT:
                raise LineTooLong(number)
            yield number, line


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes cut at line ends only, each piece without its last LF; nothing after a line that is too long."""
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

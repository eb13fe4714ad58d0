from __future__ import annotations

from collections.abc import Iterator

import pytest

from ergo_cli.events.stream import BLANK_LIMIT, LINE_LIMIT, LineTooLong, TooManyBlankLines, split_lines


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([], []),
        ([b""], []),
        ([b"\n"], [b""]),
        ([b"a"], [b"a"]),
        ([b"a\n"], [b"a"]),
        ([b"a\nb"], [b"a", b"b"]),
        ([b"a\r\nb\r\n"], [b"a", b"b"]),
        ([b"a\r\r\nb\rc"], [b"a\r", b"b\rc"]),
        ([b"a\r"], [b"a"]),
        ([b"a\r", b"\nb"], [b"a", b"b"]),
        ([b"a", b"b", b"", b"c\nd", b"\n", b"\ne"], [b"abc", b"d", b"", b"e"]),
        ([b"a\x0bb\x0cc\x1cd\xc2\x85e\xe2\x80\xa8f\n"], [b"a\x0bb\x0cc\x1cd\xc2\x85e\xe2\x80\xa8f"]),
    ],
)
def test_lines(chunks: list[bytes], lines: list[bytes]):
    assert list(split_lines(chunks)) == list(enumerate(lines, start=1))


def test_a_line_of_the_limit_is_a_line():
    long = b"x" * LINE_LIMIT
    assert [len(line) for _, line in split_lines([b"a\n", long, b"\r\n", long, b"\n", long])] == [1] + [LINE_LIMIT] * 3


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\nmore"])
def test_a_longer_line_is_refused_by_its_number(end: bytes):
    lines = split_lines([b"a\n", b"x" * LINE_LIMIT, b"x" + end])
    assert next(lines) == (1, b"a")
    with pytest.raises(LineTooLong, match="longer than 16 MiB") as refused:
        next(lines)
    assert refused.value.line == 2


def test_a_line_that_is_too_long_is_not_read_to_its_end():
    chunk, asked = b"x" * 2**20, 0

    def endless() -> Iterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield chunk

    with pytest.raises(LineTooLong):
        list(split_lines(endless()))
    assert asked == LINE_LIMIT // len(chunk) + 1


def test_lines_come_as_soon_as_they_are_whole():
    def chunks() -> Iterator[bytes]:
        yield b"a\nb"
        raise AssertionError("the first line was whole already")

    assert next(split_lines(chunks())) == (1, b"a")


def test_blank_lines_have_a_size_in_one_place():
    blanks = b" \n" * (BLANK_LIMIT // 4)
    chunks = [b"a\n", blanks, blanks, b"b\n", blanks, blanks, b"c\n"]
    assert [line for _, line in split_lines(chunks) if line.strip()] == [b"a", b"b", b"c"]
    with pytest.raises(TooManyBlankLines, match="more than 1 MiB of blank lines"):
        list(split_lines([b"a\n", blanks, blanks, blanks, b"b\n"]))

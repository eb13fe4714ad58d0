"""Errors as people read them: the block of spec 30 §23.2."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.errors import ErgoError
from ergo_cli.report.shortening import shorten

_LONGEST = 2000


def error_block(error: ErgoError) -> Iterator[str]:
    """The lines of one error, absent parts left out; further errors behind it follow as ``detail`` lines.

    A cause that only repeats the headline, as the error behind a stage's own code does, is not told twice.
    """
    yield f"error: {fitting(error.message)}"
    yield f"code: {error.code}"
    for name, part in (("rule", error.rule), ("where", error.where), ("fix", error.fix)):
        if part is not None:
            yield f"{name}: {fitting(part)}"
    for detail in (*error.details, *_further(error, error)):
        yield f"detail: {fitting(detail)}"


def fitting(text: str) -> str:
    """``text`` as one printable line, its middle left out where an input is quoted at great length."""
    return printable(shorten(text, _LONGEST))


def printable(text: str) -> str:
    """``text`` without what a terminal would obey, line ends among it: control characters become escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _further(error: ErgoError, headline: ErgoError) -> Iterator[str]:
    for cause in error.causes:
        told = any(cause.message in text for text in (headline.message, *headline.details))
        if not told or (cause.where is not None and cause.where != headline.where):
            place = "" if cause.where is None else f"{cause.where}: "
            yield f"{place}{cause.message} ({cause.code})"
        yield from _further(cause, headline)

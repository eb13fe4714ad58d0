"""Texts as a page shows them: printable, and cut where they are long, with how much is left out."""

from __future__ import annotations

from ergo_cli.report.text import printable

MOST_CHARACTERS = 1000
"""Of one text of a page."""


def shown(text: str, width: int = MOST_CHARACTERS) -> str:
    """``text`` as one printable line; the middle of a long one is left out, and what is missing is counted."""
    return printable(cut(text, width))


def cut(text: str, width: int) -> str:
    """The beginning and the end of a text of more than ``width`` characters, with what is missing between them."""
    if len(text) <= width:
        return text
    left = len(text) - width
    head = width - width // 4
    return f"{text[:head]} … {left:,} characters left out … {text[len(text) - width // 4 :]}"

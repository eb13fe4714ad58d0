"""What the streams of the process are: terminals or not, drawn on or not, coloured or not, how wide."""

from __future__ import annotations

import os
from typing import TextIO

from ergo_cli.cli.commands import Color


def width_of(stream: TextIO) -> int:
    """The columns to write for: those that ``COLUMNS`` asks for, else those of the terminal, else 80."""
    from ergo_cli.report.layout import WIDTH  # a plain help asks for no width, and loads no library

    asked = os.environ.get("COLUMNS", "")
    if asked.isascii() and asked.isdecimal() and int(asked[:5]) > 0:
        return int(asked[:5])
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    except (OSError, ValueError):
        return WIDTH


def is_terminal(stream: TextIO | None) -> bool:
    """Whether ``stream`` is a terminal."""
    return stream is not None and stream.isatty()


def is_drawn(color: Color, stream: TextIO) -> bool:
    """Whether ``stream`` gets tables with frames instead of plain lines."""
    return is_terminal(stream) or _is_forced(color)


def is_colored(color: Color, stream: TextIO) -> bool:
    """Whether ``stream`` gets colours. A flag wins over ``NO_COLOR``, this over ``FORCE_COLOR`` and the terminal."""
    if color is not Color.AUTO:
        return color is Color.ALWAYS
    if os.environ.get("NO_COLOR"):
        return False
    return _is_forced(color) or (is_terminal(stream) and os.environ.get("TERM") != "dumb")


def _is_forced(color: Color) -> bool:
    wanted = bool(os.environ.get("FORCE_COLOR")) and not os.environ.get("NO_COLOR")
    return color is Color.ALWAYS or (color is Color.AUTO and wanted)

"""Whether text is drawn as on a terminal, and whether in colour: ``--color``, ``NO_COLOR``, ``FORCE_COLOR``."""

from __future__ import annotations

import os
from typing import TextIO

from ergo_cli.cli.options import Color


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at ``stream``."""
    return stream is not None and stream.isatty()


def is_drawn(color: Color, stream: TextIO) -> bool:
    """Whether ``stream`` gets frames, not plain lines."""
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

"""Where findings stand: files as seen from the top of the repository, and the lines that errors name."""

from __future__ import annotations

import os
import re

from ergo_cli.report.document import ErrorDocument
from ergo_cli.report.formats.registry import Around

Place = tuple[str, int | None]
"""A file and a line of it, if one is known."""

_LINE = r":(?P<line>[1-9]\d{0,8})(:\d+)?"
_WHOLE = re.compile(rf"(?P<file>.+?){_LINE}")
_BEGINNING = re.compile(rf"(?P<file>[^\s'\"]+?){_LINE}(?=[ :])")


def located(path: str, around: Around) -> str:
    """A path relative to the top of the repository, with ``/``; one that is elsewhere is absolute."""
    try:
        here = os.getcwd()
    except OSError:
        return path
    whole, top = os.path.normpath(os.path.join(here, path)), around.top or here
    below = whole if top == os.sep else whole.removeprefix(top.rstrip(os.sep) + os.sep)
    return below.replace(os.sep, "/")


def place_of_error(error: ErrorDocument, around: Around) -> Place | None:
    """The first line of a file that an error or one of its causes names."""
    for each in (error, *error.causes):
        place = None if each.where is None else place_in(each.where, around)
        if place is not None:
            return place
    return None


def place_in(where: str, around: Around) -> Place | None:
    """The place that a text names: one that is a place alone, or begins with one."""
    found = _WHOLE.fullmatch(where) or _BEGINNING.match(where)
    return None if found is None else (located(found["file"], around), int(found["line"]))

"""The user's line of code behind an exception."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from types import TracebackType

from msgspec import Struct

_ERGO = __file__.removesuffix("core/code_places.py")
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


class CodePlace(Struct, frozen=True):
    """A line of Python: the path of its file, its number, and the function it is in."""

    file: str
    line: int
    function: str


def user_place(error: BaseException) -> CodePlace | None:
    """Where the user's code failed: the innermost line outside ergo, if possible outside installed packages too.

    Causes are looked at first, since ergo wraps what user code raises. None where no code of a user took part.
    """
    chain = list(_chain(error))
    places = [place for each in reversed(chain) for place in reversed(list(_frames(each.__traceback__)))]
    own = (place for place in places if not place.file.startswith(_INSTALLED))
    return next(own, next(iter(places), None))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _frames(traceback: TracebackType | None) -> Iterator[CodePlace]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith((_ERGO, "<")):
            yield CodePlace(code.co_filename, traceback.tb_lineno, code.co_name)
        traceback = traceback.tb_next

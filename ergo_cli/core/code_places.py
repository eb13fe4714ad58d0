"""The user's line of code behind an exception, and the packages that took part."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from itertools import islice
from types import TracebackType

from msgspec import Struct

_ERGO = __file__.removesuffix("core/code_places.py")
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


_MOST_FRAMES = 10


class CodePlace(Struct, frozen=True):
    """A line of Python: the path of its file, its number, and the function it is in."""

    file: str
    line: int
    function: str


def user_place(error: BaseException, package: str | None = None) -> CodePlace | None:
    """Where the user's code failed: the innermost line outside ergo, if possible outside installed packages too.

    Of installed packages, ``package`` goes first. Causes are looked at first, since ergo wraps what user code raises.
    None where no code of a user took part.
    """
    lines = list(_lines(error))
    own = (place for _, place in lines if not place.file.startswith(_INSTALLED))
    of_package = (place for name, place in lines if name == package)
    return next(own, next(of_package, lines[0][1] if lines else None))


def user_frames(error: BaseException) -> tuple[CodePlace, ...]:
    """The user's lines that led to a failure, outside ergo and installed packages, the innermost first; at most ten."""
    own = (place for _, place in _lines(error) if not place.file.startswith(_INSTALLED))
    return tuple(islice(dict.fromkeys(own), _MOST_FRAMES))


def packages_of(error: BaseException) -> Iterator[str]:
    """The top-level packages outside ergo whose code took part in a failure, the innermost first."""
    return (name for name, _ in _lines(error))


def _lines(error: BaseException) -> Iterator[tuple[str, CodePlace]]:
    """The lines outside ergo, each with its package, the innermost first."""
    for each in reversed(list(_chain(error))):
        yield from reversed(list(_frames(each.__traceback__)))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _frames(traceback: TracebackType | None) -> Iterator[tuple[str, CodePlace]]:
    while traceback is not None:
        frame = traceback.tb_frame
        code = frame.f_code
        if not code.co_filename.startswith((_ERGO, "<")):
            package = str(frame.f_globals.get("__name__")).partition(".")[0]
            yield package, CodePlace(code.co_filename, traceback.tb_lineno, code.co_name)
        traceback = traceback.tb_next

"""What helps against an error of the file system, and the code of a store for it, by the number of the error."""

from __future__ import annotations

import errno

FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def remedy(error: BaseException | None, elsewhere: str, place: str = "the folder") -> str:
    """The fix for an error of writing to ``place``; ``elsewhere`` says how to name another one, which always helps."""
    number = _number(error)
    if number in FULL:
        return f"free some space, or {elsewhere}"
    if number in _FORBIDDEN:
        return f"make {place} writable, or {elsewhere}"
    if number == errno.EIO:
        return f"check the disk, or {elsewhere}"
    if number == errno.EFBIG:
        return f"raise the limit on the size of files (ulimit -f), or {elsewhere}"
    return elsewhere


def temporary_remedy(error: BaseException) -> str:
    """The fix for an error of a temporary file."""
    return remedy(error, "name another folder in TMPDIR", "the folder for temporary files")


def store_code(error: BaseException) -> str:
    """The code of the StoreError for an error of the file system."""
    number = _number(error)
    if number in FULL:
        return "store.full"
    return "store.read_only" if number in _FORBIDDEN else "store.unreachable"


def _number(error: BaseException | None) -> int | None:
    return error.errno if isinstance(error, OSError) else None

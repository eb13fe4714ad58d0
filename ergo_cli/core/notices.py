"""What a user should know though nothing is wrong enough to stop."""

from __future__ import annotations

from msgspec import Struct


class Notice(Struct, frozen=True):
    """A warning; ``ergo validate --strict`` turns it into an error. ``where`` is a file position, a path or both."""

    message: str
    where: str | None = None

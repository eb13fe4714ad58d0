"""What is wrong with a source: errors that name the place, and show no more of a cell than its beginning."""

from __future__ import annotations

from ergo_cli.errors import EventError

_SHOWN = 60


def source_fault(message: str, where: str, fix: str) -> EventError:
    """The error for a source that is not of its form."""
    return EventError("import.source_invalid", message, where=where, fix=fix)


def value_fault(message: str, where: str, fix: str) -> EventError:
    """The error for a value that cannot be used."""
    return EventError("import.value_invalid", message, where=where, fix=fix)


def quoted(value: object) -> str:
    """A value in quotes, shortened."""
    text = str(value)
    return f"'{text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}'"

"""What an import leaves out: how many rows, why, and where the first of them stands."""

from __future__ import annotations

from msgspec import Struct


class Reason(Struct, frozen=True):
    """Why rows were left out."""

    text: str
    rows: int
    first: str


class PassedOver:
    """Counts the rows that are left out by their reasons."""

    def __init__(self) -> None:
        self._found: dict[str, Reason] = {}
        self.rows_of_source = 0
        """Lines that hold no row."""

    def note(self, reason: str, place: str, *, is_row: bool = False) -> None:
        """Count one more."""
        known = self._found.get(reason)
        self._found[reason] = Reason(reason, 1, place) if known is None else Reason(reason, known.rows + 1, known.first)
        self.rows_of_source += not is_row

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """In the order they were met."""
        return tuple(self._found.values())

    @property
    def rows(self) -> int:
        """How many were left out."""
        return sum(each.rows for each in self._found.values())

    def sentence(self) -> str:
        """For people, in one line."""
        return "; ".join(f"{each.rows:,} {each.text} (first: {each.first})" for each in self._found.values())

"""Plain tables: one heading, one line a row, numbers to the right."""

from __future__ import annotations

from collections.abc import Sequence

Row = Sequence[str]


def show(title: str, heading: Row, rows: Sequence[Row]) -> None:
    """Print a table; the first column to the left, all others to the right."""
    table = [heading, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(heading))]
    print(f"\n{title}")
    for row in table:
        first, *others = (
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip())


def figure(value: float, digits: int = 2) -> str:
    """A number with so many digits behind the point."""
    return f"{value:.{digits}f}"

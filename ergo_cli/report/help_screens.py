"""The help of a command on a terminal, drawn by Rich. Imported only for terminals."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ergo_cli.report.terminal import console

_BESIDE = 30
"""The fewest columns in which a meaning stands beside its name; where there are fewer, it stands below."""

_AROUND = 6
"""The columns that the frame of a panel and the gap between names and meanings take."""

Rows = Sequence[tuple[str, str]]


def help_screen(intro: str, sections: Iterable[tuple[str, Rows]], epilog: str, *, width: int, colored: bool) -> str:
    """The help as one text: the introduction, a panel for each section, the epilogue. Nothing is cut."""
    sections = list(sections)
    names = max((len(name) for _, rows in sections for name, _ in rows), default=0)
    is_beside = width - names - _AROUND >= _BESIDE
    target = io.StringIO()
    on = console(target, colored=colored, width=width)
    on.print(Text(f"{intro}\n"))
    for title, rows in sections:
        content = _beside(rows, names) if is_beside else _below(rows)
        on.print(_section(Text(title, style="bold"), content, width))
    if epilog:
        on.print(Text(f"\n{epilog}"), soft_wrap=True)
    return target.getvalue().rstrip("\n")


def _section(title: Text, content: RenderableType, width: int) -> RenderableType:
    """The content in a panel with its title, or below it where the frame would cut the title."""
    if width < len(title) + _AROUND:
        return Group(title, content)
    return Panel(content, title=title, title_align="left", border_style="dim")


def _beside(rows: Rows, names: int) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=names, overflow="fold")
    table.add_column(overflow="fold")
    for name, meaning in rows:
        table.add_row(Text(name, style="cyan"), Text(meaning))
    return table


def _below(rows: Rows) -> RenderableType:
    table = Table.grid()
    table.add_column(overflow="fold")
    for name, meaning in rows:
        table.add_row(Text(name, style="cyan"))
        table.add_row(Padding(Text(meaning), (0, 0, 0, 2)))
    return table

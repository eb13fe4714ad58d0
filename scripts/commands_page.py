"""Prints docs/commands.md: every command with its arguments and options, as the application lists them.

After a change of a command: ``python scripts/commands_page.py >docs/commands.md``. A test holds the page equal to this.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from ergo_cli.cli.commands import application
from ergo_cli.cli.help_pages import sections

INTRODUCTION = """\
# Every command and option

This page is what `ergo help` shows, made from the application itself. How command lines are read, completion and
progress stand in [the command line](command-line.md); exit codes in the [README](../README.md#exit-codes); what the
words mean in the [glossary](glossary.md).

Durations are whole numbers with `ms`, `s`, `m` or `h`. `NO_COLOR` and `FORCE_COLOR` are honoured where `--color` is not
given."""


def page() -> str:
    shown = [*commands("ergo", get_command(application(())))]
    named = [(path, command) for path, command, _ in shown if path != "ergo"]
    contents = ["| command | does |", "|---|---|"]
    contents += [
        f"| [`{path}`](#{path.replace(' ', '-')}) | {cell(command.get_short_help_str(200))} |"
        for path, command in named
    ]
    return "\n\n".join([INTRODUCTION, "\n".join(contents), *(part for each in shown for part in section(*each))]) + "\n"


def commands(path: str, command: Any) -> Iterator[tuple[str, Any, Any]]:
    """The path, command and context of ``command`` and of all below it, in the order of the help."""
    context = command.context_class(command, info_name=path)
    yield path, command, context
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(f"{path} {name}", below)


def section(path: str, command: Any, context: Any) -> Iterator[str]:
    yield f"## {path}"
    yield "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{path} {usage}\n```"
    for title, rows in sections(command, context):
        if title != "Commands":
            lines = [f"| `{cell(name)}` | {cell(meaning)} |" for name, meaning in rows]
            yield "\n".join([f"| {title.lower()} | |", "|---|---|", *lines])


def cell(text: str) -> str:
    """``text`` as the cell of a table."""
    return " ".join(text.split()).replace("|", r"\|")


if __name__ == "__main__":
    print(page(), end="")

"""``ergo help``: show the help of ergo or of a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ergo_cli.cli.commands import BELOW, NAMES, VersionOption, application, beginning_with


def _topics(context: typer.Context, incomplete: str) -> list[str]:
    """The commands that may follow the words that stand there."""
    match context.params.get("topic"):
        case None | [] | ():
            return beginning_with(incomplete, NAMES)
        case [group]:
            return beginning_with(incomplete, BELOW.get(group, ()))
        case _:
            return []


TopicArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[COMMAND]...", help="A command, such as replay or runs list.", autocompletion=_topics),
]


def help(topic: TopicArgument = None, version: VersionOption = False) -> int:
    """Show the help of ergo or of a command."""
    words = topic or []
    _check(words)
    arguments = [*words, "--help"]
    return application(arguments)(args=arguments, prog_name="ergo", standalone_mode=False, obj=arguments) or 0


def _check(words: Sequence[str]) -> None:
    """Raise UsageError for words that name no command."""
    known: Sequence[str] = NAMES
    for place, word in enumerate(words):
        if word not in known:
            raise _unknown(word, words[:place], known)
        known = BELOW.get(word, ()) if place == 0 else ()


def _unknown(word: str, before: Sequence[str], known: Sequence[str]) -> Exception:
    from ergo_cli.core.diagnostics import did_you_mean
    from ergo_cli.errors import UsageError

    usage = "usage: ergo help [COMMAND]"
    if not known:
        message = f"'{' '.join(before)}' has no commands, and no help on '{word}'; {usage}"
        fix = f"ergo help {' '.join(before)}"
        return UsageError("cli.unexpected_argument", message, where=f"arg '{word}'", fix=fix)
    name = " ".join([*before, word])
    fix = did_you_mean(word, known) or f"use one of: {', '.join(known)}"
    return UsageError("cli.unknown_command", f"unknown command '{name}'; {usage}", where=f"arg '{word}'", fix=fix)

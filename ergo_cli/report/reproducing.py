"""The command that repeats a comparison or a check of one file alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from ergo_cli.report.document import unicode
from ergo_cli.report.error_text import near
from ergo_cli.stores.files import STANDARD_INPUT


def reproducing(command: str, paths: Sequence[str], options: Sequence[str]) -> str | UnsetType:
    """The command line with these files alone; none where one of them is standard input, which is gone."""
    if STANDARD_INPUT in paths:
        return UNSET
    return unicode(shlex.join(("ergo", command, *map(argument, paths), *options)))


def argument(path: str) -> str:
    """A path as a word that is not taken for an option."""
    named = near(path)
    return f"./{named}" if named.startswith("-") else named

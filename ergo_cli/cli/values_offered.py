"""The values that a shell offers for an option, where they are not those of an enumeration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ergo_cli.errors import ErgoError

SHELLS = ("bash", "zsh", "fish")
"""The shells that completion can be set up for."""


def profile_names(named: str | Path | None) -> Sequence[str]:
    """The profiles of the project ``named`` by ``--project``, else of the one found from the current folder upwards.

    Only the project file is read. None for a file that cannot be used: a shell does not show why.
    """
    from ergo_cli.project.project_file import locate_project

    try:
        project = locate_project(None, None if named is None else Path(named))
    except ErgoError:
        return ()
    return () if project is None else tuple(project.profiles)

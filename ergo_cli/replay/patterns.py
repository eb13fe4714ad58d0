"""Where ``--ignore`` patterns come from, and which of them were of no use (spec 00 §6, §12.5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ergo_cli.core.notices import Notice
from ergo_cli.project.root import locate_project
from ergo_cli.replay.paths import Pattern, parse_patterns


def patterns_of_project(asked: Sequence[str] | None, bundle: Path, named: Path | None) -> tuple[Pattern, ...]:
    """The patterns of a comparison without program: those ``asked`` for, else the top-level ones of the project.

    Raises UsageError for a text that is no path, ProjectError as ``locate_project``.
    """
    project = locate_project(bundle, named)
    if asked is not None:
        return parse_patterns(asked)
    return () if project is None else parse_patterns(project.ignore)


def unmatched(patterns: Iterable[Pattern]) -> tuple[Notice, ...]:
    """A warning for each pattern that matched nothing."""
    return tuple(
        Notice(f"the path '{pattern.text}' to ignore matched nothing") for pattern in patterns if not pattern.matched
    )

"""Paths into decisions: what ``--ignore`` leaves out (spec 00 §12.5, §12.7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import cast

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.json import Item, JsonValue, Member, Step
from ergo_cli.core.members import parts
from ergo_cli.core.path_patterns import START, PathFault, PathSteps, parse_path
from ergo_cli.errors import UsageError
from ergo_cli.project.project_file import locate_project


class Ignored(Enum):
    """Stands in an array for an item that was left out, so that the items behind it keep their index."""

    ITEM = "ignored"


class Pattern:
    """An ``--ignore`` pattern; ``matched`` tells whether it ever found something."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.matched = False
        try:
            self._steps = PathSteps(text)
        except PathFault as fault:
            raise _invalid(fault) from None

    def prune(self, tree: JsonValue) -> JsonValue:
        """``tree`` without everything at or below a match; the same object where nothing matched.

        A member that matched is gone, an item that matched is ``Ignored.ITEM``.
        """
        return self._prune(tree, START)

    def covers(self, path: str) -> bool:
        """Whether a path without wildcards is at or below a match; ``[key=price]`` covers none, it needs the item."""
        states = START
        if self._steps.has_ended(states):
            return True
        for step in parse_path(path) if path else ():
            if not isinstance(step, Member | Item):
                return False
            states, ended = self._steps.advance(states, step, None)
            if ended:
                return True
        return False

    def _prune(self, tree: JsonValue, states: frozenset[int]) -> JsonValue:
        kept: list[tuple[Step, JsonValue]] = []
        changed = False
        for step, child in parts(tree):
            after, ended = self._steps.advance(states, step, child)
            if ended:
                self.matched = changed = True
                if isinstance(step, Item):
                    kept.append((step, cast(JsonValue, Ignored.ITEM)))
                continue
            pruned = self._prune(child, after) if after else child
            changed |= pruned is not child
            kept.append((step, pruned))
        if not changed:
            return tree
        if isinstance(tree, dict):
            return {step.name: child for step, child in kept if isinstance(step, Member)}
        return [child for _, child in kept]


def prune(patterns: Iterable[Pattern], tree: JsonValue) -> JsonValue:
    """``tree`` without what any of the patterns matches. What one takes away, another has matched all the same."""
    pruned = tree
    for pattern in patterns:
        if pruned is not tree and not pattern.matched:
            pattern.prune(tree)
        pruned = pattern.prune(pruned)
    return pruned


def without_ignored(value: JsonValue) -> JsonValue:
    """A pruned value as a report shows it: without the items that were left out."""
    match value:
        case list():
            return [without_ignored(item) for item in value if item is not Ignored.ITEM]
        case dict():
            return {name: without_ignored(member) for name, member in value.items()}
        case _:
            return value


def all_matched(patterns: Iterable[Pattern]) -> bool:
    """Whether every pattern found something, so that equal records need not be looked at on their behalf."""
    return all(pattern.matched for pattern in patterns)


def parse_patterns(texts: Sequence[str]) -> tuple[Pattern, ...]:
    """Patterns of ``--ignore`` texts. Raises UsageError ``cli.invalid_option_value`` for one that is not a path."""
    return tuple(Pattern(text) for text in texts)


def _invalid(fault: PathFault) -> UsageError:
    return UsageError(
        "cli.invalid_option_value",
        str(fault),
        where="arg '--ignore'",
        fix="write a path such as effects[*].writes[key=price].value or **.intent_id",
    )


def patterns_of_project(asked: Sequence[str] | None, bundle: Path, named: Path | None) -> tuple[Pattern, ...]:
    """The patterns of a comparison without program: those ``asked`` for, else the top-level ones of the project.

    Raises UsageError for a text that is not a path, ProjectError as ``locate_project``.
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

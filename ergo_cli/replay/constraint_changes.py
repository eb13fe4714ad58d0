"""Which constraints differ between two runs (spec 70 §2)."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.core.time import Duration
from ergo_cli.programs.changes import Change, Layer, Verb
from ergo_cli.supervisor.seam import Constraints


def constraint_changes(before: Constraints, after: Constraints) -> Iterator[Change]:
    """The limits that differ; one that is not set is none."""
    new = dict(_limits(after))
    for name, was in _limits(before):
        now = new[name]
        if was != now:
            verb = Verb.ADDED if was is None else Verb.REMOVED if now is None else Verb.CHANGED
            yield Change(subject=name, verb=verb, layer=Layer.CONSTRAINTS, before=was, after=now)


def _limits(constraints: Constraints) -> Iterator[tuple[str, str | None]]:
    for name in ("max_in_flight", "max_per_window"):
        limit: int | None = getattr(constraints, name)
        yield name, None if limit is None else str(limit)
    for name in ("rate_window", "deadline"):
        time: int | None = getattr(constraints, name)
        yield name, None if time is None else Duration.of(time).text
    yield "max_retries", str(constraints.max_retries) if constraints.max_retries else None

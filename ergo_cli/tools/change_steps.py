"""What changed from one program to the next, of what changed in both since a third: that of a capture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ergo_cli.programs.changes import Change, Layer, Verb

_BACK = {Verb.ADDED: Verb.REMOVED, Verb.REMOVED: Verb.ADDED, Verb.CHANGED: Verb.CHANGED}


def step_between(earlier: Sequence[Change], later: Sequence[Change]) -> list[Change]:
    """The changes of a program since an earlier one; both have theirs since the same capture."""
    return list(_step_between(earlier, later))


def _step_between(earlier: Sequence[Change], later: Sequence[Change]) -> Iterator[Change]:
    before = {_part(change): change for change in earlier}
    for change in later:
        known = before.pop(_part(change), None)
        if known is None:
            yield change
        elif (known.verb, known.after) != (change.verb, change.after):
            yield _joined(known, change)
    yield from map(_taken_back, before.values())


def _part(change: Change) -> tuple[Layer, str, str | None]:
    return change.layer, change.subject, change.file


def _joined(earlier: Change, later: Change) -> Change:
    verb = Verb.REMOVED if later.verb is Verb.REMOVED else Verb.ADDED if earlier.verb is Verb.REMOVED else Verb.CHANGED
    return replace(later, verb=verb, before=earlier.after)


def _taken_back(change: Change) -> Change:
    return replace(change, verb=_BACK[change.verb], before=change.after, after=change.before)

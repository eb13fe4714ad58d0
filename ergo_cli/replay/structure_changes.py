"""What changed in the parts of a program written in Python: which there are, the edges to them, their settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from ergo_cli.core.documents import ProgramSource
from ergo_cli.programs.changed_code import changes_in, code_of
from ergo_cli.programs.changes import Change, Verb
from ergo_cli.programs.parts import Part, PlainPart
from ergo_cli.replay.written_places import Place, WrittenPlaces

_LONGEST_VALUE = 40


def structure_changes(
    recorded: Sequence[PlainPart], today: Sequence[Part], sources: Sequence[ProgramSource]
) -> list[Change]:
    """Parts that are new or differ, in today's order, with the places in today's texts; then those that are gone."""
    before, after = {part.name: part for part in recorded}, {part.name for part in today}
    places = WrittenPlaces(sources)
    found = [change for part in today for change in _part_changes(before.get(part.name), part, places)]
    gone = (part for part in recorded if part.name not in after)
    return found + [Change(subject=part.name, verb=Verb.REMOVED, before=part.sort, structural=True) for part in gone]


def in_parts(changes: Sequence[Change], parts: Sequence[Part]) -> list[Change]:
    """The changes in code, each with the nodes of the parts whose functions it is in, or that name what it is in."""
    nodes: dict[Change, list[str]] = {}
    for part in parts:
        for function in part.functions:
            for change in changes_in(function, changes):
                nodes.setdefault(change, []).extend(part.nodes)
    return [replace(change, nodes=tuple(dict.fromkeys(nodes.get(change, ())))) for change in changes]


def without_repeats(in_code: Sequence[Change], structural: Sequence[Change]) -> list[Change]:
    """The changes in code without values that are said better, as those of a part that is written in the same line."""
    said = {(change.file, change.line) for change in structural if change.line is not None}
    return [change for change in in_code if change.before is None or (change.file, change.line) not in said]


def _part_changes(before: PlainPart | None, part: Part, places: WrittenPlaces) -> Iterator[Change]:
    if before is None:
        place = places.part(part) or _code_place(part)
        yield _change(part, part.name, None, part.sort, place)
        return
    if before.sort != part.sort:
        yield _change(part, part.name, before.sort, part.sort, places.part(part))
    if before.after != part.after:
        gone, new = _only_in(before.after, part.after), _only_in(part.after, before.after)
        was, now = (gone, new) if gone or new else (before.after, part.after)
        yield _change(part, f"{part.name}.after", _listed(was), _listed(now), places.edge(new, part))
    for name in _field_names(before.fields, part.fields):
        was, now = before.fields.get(name), part.fields.get(name)
        if was != now and (before.sort == part.sort or (was is not None and now is not None)):
            is_short = max(len(was or ""), len(now or "")) <= _LONGEST_VALUE
            change = _change(part, f"{part.name}.{name}", was, now, places.field(part, name))
            change = change if is_short else replace(change, before=None, after=None)
            yield replace(change, idle=True, nodes=()) if name in part.idle else change


def _change(part: Part, subject: str, before: str | None, after: str | None, place: Place | None) -> Change:
    return Change(
        subject=subject,
        verb=Verb.ADDED if before is None else Verb.REMOVED if after is None else Verb.CHANGED,
        before=before,
        after=after,
        file=None if place is None else place[0],
        line=None if place is None else place[1],
        nodes=part.nodes,
        structural=True,
    )


def _field_names(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    yield from after
    yield from (name for name in before if name not in after)


def _only_in(names: Sequence[str], others: Sequence[str]) -> Sequence[str]:
    return [name for name in names if name not in others]


def _listed(names: Sequence[str]) -> str | None:
    return ", ".join(names) or None


def _code_place(part: Part) -> Place | None:
    """Where the first function of a part is written."""
    code = next((found for each in part.functions if (found := code_of(each)) is not None), None)
    return None if code is None else (code.file, code.line)

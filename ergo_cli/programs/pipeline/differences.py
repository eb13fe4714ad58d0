"""The differences of two recordings of a flow, call by call, with paths into the bundle (spec 00 §13.7, 60 §22)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.core.json import Item, JsonValue, Location, Member, decode
from ergo_cli.core.levels import Level
from ergo_cli.core.tree_differences import first_leaf
from ergo_cli.programs.pipeline.effects import EffectFault
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest, blocking_stages
from ergo_cli.programs.pipeline.projection import Part, Row, difference_of, evidence_of, row_of, unmatched
from ergo_cli.programs.pipeline.record_lines import record_line
from ergo_cli.programs.pipeline.recorded import JournalRecord, PipelineCall, PipelineEpisode
from ergo_cli.programs.recorded import JournalDifference, LogDifference, RecordLine
from ergo_cli.stores.artifacts import artifact_id
from ergo_cli.supervisor.seam import Outcome

MISSING_ROW = "missing_row"
"""The cause of a row that one side alone has."""

_EVENT = (Member("record"), Member("event"))
_OUTCOME = (Member("content"), Member("payload"), Member("outcome"))


class _Held(Struct, frozen=True):
    """A record of a call that is compared, and its index among the records of the call."""

    place: int
    record: JournalRecord


class _Rows(Struct, frozen=True):
    """What is compared of one journal in a call: rows in their order, and the evidence of EOFs."""

    rows: list[tuple[_Held, Row]]
    evidence: list[tuple[_Held, Part]]


def rows_of(call: PipelineCall) -> Mapping[str, _Rows]:
    """What is compared of a call, by the labels of journals."""
    found: dict[str, _Rows] = {}
    for place, record in enumerate(call.records):
        event = record.chain_event
        if event is None:
            continue
        held, row, evidence = _Held(place, record), row_of(event), evidence_of(event)
        if row is not None or evidence is not None:
            of_journal = found.setdefault(record.label, _Rows([], []))
            if row is not None:
                of_journal.rows.append((held, row))
            if evidence is not None:
                of_journal.evidence.append((held, evidence))
    return found


def call_differences(
    entry: int, here: PipelineCall, there: PipelineCall, manifests: Sequence[FlowManifest], *, is_prefix: bool = False
) -> Iterator[JournalDifference]:
    """The rows and the evidence that differ, placed in the entry of ``here``, sources first.

    Left out are stages whose order is not certified for all ``manifests``, the first of which is that of ``here``.
    With ``is_prefix`` ``here`` may have come less far. Evidence counts where both calls completed (§22.4).
    """
    if here.texts == there.texts:
        return
    blocking, expected, actual = blocking_stages(manifests), rows_of(here), rows_of(there)
    both_completed = here.end.termination is there.end.termination is Outcome.COMPLETED
    for label in _labels(manifests):
        stage = label.partition(":")[2]
        if blocking[stage]:
            continue
        one, other = expected.get(label, _NONE), actual.get(label, _NONE)
        site = _Site(entry, here, label)
        yield from _row_differences(site, one, other, is_prefix=is_prefix)
        if both_completed:
            yield from _evidence_differences(site, one, other)


def uncertified_rows(call: PipelineCall, manifests: Sequence[FlowManifest]) -> Mapping[str, int]:
    """How many rows of a call belong to stages whose order is not certified, by stage."""
    uncertified = {stage for stage, blocking in blocking_stages(manifests).items() if blocking}
    counts: dict[str, int] = {}
    for label, found in rows_of(call).items() if uncertified else ():
        stage = label.partition(":")[2]
        if stage in uncertified and found.rows:
            counts[stage] = counts.get(stage, 0) + len(found.rows)
    return counts


def journal_differences(a: PipelineEpisode, b: PipelineEpisode) -> Iterator[JournalDifference]:
    """The differences of two episodes, or of two closing entries, call by call, placed in A.

    A's closing entry of an interrupted run may have come less far than B's (§22.2).
    """
    is_closing = a.entry.episode_id is None
    for here, there in zip(a.calls, b.calls, strict=False):
        is_prefix = is_closing and here.end.termination is Outcome.ABORTED is not there.end.termination
        found = call_differences(a.entry.index, here, there, (a.manifest, b.manifest), is_prefix=is_prefix)
        yield from with_origins(found, a.manifest, set())
        if (here is not a.calls[-1] or is_closing) and not is_prefix:
            yield from end_differences(a.entry.index, here, there)


def end_differences(entry: int, here: PipelineCall, there: PipelineCall) -> Iterator[JournalDifference]:
    """The difference of how two calls ended."""
    if here.end.termination != there.end.termination:
        location = (*record_place(entry, here.end_place), Member("end"), Member("termination"))
        expected, actual = (msgspec.to_builtins(call.end.termination) for call in (here, there))
        yield JournalDifference(location, expected, actual)


def error_differences(entry: int, here: PipelineCall, there: PipelineCall) -> Iterator[JournalDifference]:
    """The difference of the errors that ended two calls, by their codes."""
    expected, actual = (None if call.end.error is None else call.end.error.code for call in (here, there))
    if expected != actual:
        location = (*record_place(entry, here.end_place), Member("end"), Member("error"), Member("code"))
        yield JournalDifference(location, expected, actual)


def fault_difference(entry: int, here: PipelineCall, fault: EffectFault) -> JournalDifference:
    """Where today's program asks for an effect that has no recorded outcome: what is recorded, what is asked for."""
    cause = fault.code.partition(".")[2]
    for place, record in enumerate(here.records):
        effect = record.effect
        if effect is not None and effect.cursor == fault.cursor:
            location = (*record_place(entry, here.place(place)), *_EVENT, *_OUTCOME)
            return JournalDifference(location, decode(wire.encode(effect.outcome)), None, fault.cursor.stage_key, cause)
    effect_type = None if fault.descriptor is None else fault.descriptor.effect_type
    asked: JsonValue = None if fault.descriptor is None else decode(wire.encode(fault.descriptor))
    actual = {"cursor": decode(wire.encode(fault.cursor)), "descriptor": asked}
    label, place = f"data:{fault.cursor.stage_key}", fault.cursor.input_seq
    stage = fault.cursor.stage_key
    line = RecordLine(f"{stage} effect on input {place}", effect_type)
    log = LogDifference(label, place + 1, place, None, actual, None, None, lines=(None, line), place=f"stage {stage}")
    return JournalDifference(record_place(entry, here.end_place), None, actual, fault.cursor.stage_key, cause, log)


def with_origins(
    differences: Iterator[JournalDifference], manifest: FlowManifest, differing: set[str]
) -> Iterator[JournalDifference]:
    """The differences, each with the first stage upstream of its own whose output differs.

    ``differing`` are the stages whose output is known to differ; those of the differences are added.
    """
    found = list(differences)
    differing.update(difference.node for difference in found if difference.node is not None)
    for difference in found:
        yield replace(difference, origin=origin_of(difference.node, manifest, differing))


def origin_of(stage: str | None, manifest: FlowManifest, differing: set[str]) -> str | None:
    """The first of some stages that leads to a stage; of no stage, the first of all."""
    upstream = manifest.upstream.get(stage) if stage is not None else None
    return next(
        (name for name in manifest.order if name in differing and (upstream is None or name in upstream)), stage
    )


def record_place(entry: int, place: int) -> Location:
    """The location of a record in a bundle."""
    return Member("journals"), Item(entry), Member("records"), Item(place)


_NONE = _Rows([], [])


class _Site(Struct, frozen=True):
    """A journal in a call of an entry."""

    entry: int
    call: PipelineCall
    label: str

    def difference(
        self,
        number: int,
        sides: tuple[_Held | None, _Held | None],
        cause: str,
        leaf: tuple[Location, JsonValue, JsonValue],
        level: Level,
    ) -> JournalDifference:
        """The difference of two records, the ``number``-th of this journal in this call, down to a leaf."""
        texts = [None if side is None else side.record.text for side in sides]
        digests = [None if text is None else artifact_id(text) for text in texts]
        trees = [None if text is None else decode(text) for text in texts]
        lines = [None if side is None else record_line(side.record) for side in sides]
        stage = self.label.partition(":")[2]
        log = LogDifference(
            self.label,
            number + 1,
            number,
            trees[0],
            trees[1],
            digests[0],
            digests[1],
            lines=(lines[0], lines[1]),
            place=f"stage {stage}",
        )
        place = self.call.end_place if sides[0] is None else self.call.place(sides[0].place)
        location, expected, actual = leaf
        at = (*record_place(self.entry, place), *location)
        return JournalDifference(at, expected, actual, stage, cause, log, level=level)

    def missing(self, number: int, one: _Held | None, other: _Held | None, level: Level) -> JournalDifference:
        """The difference of a record that one side alone has."""
        trees = [None if side is None else decode(side.record.text) for side in (one, other)]
        return self.difference(number, (one, other), MISSING_ROW, ((), trees[0], trees[1]), level)


def _labels(manifests: Sequence[FlowManifest]) -> Iterator[str]:
    """The labels of all data and error journals, sources first, then what they lead to."""
    first, *others = manifests
    known = dict.fromkeys(first.order)
    for manifest in others:
        known.update(dict.fromkeys(manifest.order))
    for stage in known:
        yield f"data:{stage}"
        yield f"error:{stage}"


def _row_differences(site: _Site, one: _Rows, other: _Rows, *, is_prefix: bool) -> Iterator[JournalDifference]:
    for number, (here, there) in enumerate(zip_longest(one.rows, other.rows)):
        if here is not None and there is not None:
            found = difference_of(here[1], there[1])
            if found is not None:
                leaf = ((*_EVENT, *found.place), found.expected, found.actual)
                yield site.difference(number, (here[0], there[0]), found.name, leaf, _level(here[1], there[1]))
        elif here is not None:
            yield site.missing(number, here[0], None, _level(here[1]))
        elif there is not None and not is_prefix:
            yield site.missing(number, None, there[0], _level(there[1]))


def _level(*rows: Row) -> Level:
    """Timing of rows that are about time alone; else what a stage wrote or did is another."""
    return Level.TIMING if all(row.is_time for row in rows) else Level.DECISION


def _evidence_differences(site: _Site, one: _Rows, other: _Rows) -> Iterator[JournalDifference]:
    expected, actual = ([part for _, part in rows.evidence] for rows in (one, other))
    for index, counterpart in unmatched(expected, actual):
        here = None if index is None else one.evidence[index]
        there = None if counterpart is None else other.evidence[counterpart]
        number = index if index is not None else len(expected)
        if here is not None and there is not None:
            leaf = first_leaf(here[1].value, there[1].value, (*_EVENT, *here[1].place))
            yield site.difference(number, (here[0], there[0]), "payload", leaf, Level.EVIDENCE)
        else:
            sides = None if here is None else here[0], None if there is None else there[0]
            yield site.missing(number, *sides, Level.EVIDENCE)

"""What a row was made of: the one that it names as its parent, or is a copy of, and what its stage had gathered."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.played import Row, Side
from ergo_cli.programs.pipeline.topology import StageType


class Inputs(Struct, frozen=True):
    """The row that a row was made for, if there is one, and those that were there for its stage to gather."""

    direct: Sequence[Row] = ()
    gathered: Sequence[Row] = ()


def inputs_of(side: Side, row: Row, manifest: FlowManifest) -> Inputs:
    """The inputs of a row on its side; copies that a stage has passed on as they were are gone behind."""
    stage = manifest.stages.get(row.key.stage)
    if stage is None:
        return Inputs()
    direct = _direct(side, row, stage.inbound, manifest)
    if direct is None:
        return Inputs((), _before(side, row, stage.inbound))
    if stage.stage_type is StageType.JOIN:
        others = [name for name in stage.inbound if name != direct.key.stage]
        return Inputs((_original(side, direct, manifest),), _before(side, row, others))
    return Inputs((_original(side, direct, manifest),))


def performed_for(side: Side, row: Row) -> Sequence[Row]:
    """The records of the effects that a stage performed for the input of which it made a row, in order."""
    found: list[Row] = []
    for other in () if row.is_effect else side.beside(row):
        if other.order >= row.order:
            break
        found = [*found, other] if other.is_effect else []
    return found


def _direct(side: Side, row: Row, inbound: Sequence[str], manifest: FlowManifest) -> Row | None:
    """The row of a stage upstream that a row is a copy of, or names as its parent."""
    if row.is_effect:
        return _input_of_effect(side, row, inbound, manifest)
    ids = (row.id, *row.event.causality.parent_ids[:1])
    labels = {f"data:{name}" for name in inbound}
    found = (other for each in ids for other in side.by_id.get(each, ()) if other.key.label in labels)
    return next(found, None)


def _input_of_effect(side: Side, row: Row, inbound: Sequence[str], manifest: FlowManifest) -> Row | None:
    """The row that an effect was performed for: that of the next record of its stage which names one."""
    behind = (other for other in side.beside(row) if other.order > row.order and not other.is_effect)
    following = next(behind, None)
    if following is not None:
        return _direct(side, following, inbound, manifest)
    read = [other for name in inbound for other in side.journals.get(f"data:{name}", ()) if other.order < row.order]
    return max(read, key=lambda other: other.order, default=None)


def _original(side: Side, row: Row, manifest: FlowManifest) -> Row:
    """The row that a row is a copy of, unless its stage marked it."""
    while True:
        stage = manifest.stages.get(row.key.stage)
        inbound = {f"data:{name}" for name in (() if stage is None else stage.inbound)}
        copied = next((other for other in side.by_id.get(row.id, ()) if other.key.label in inbound), None)
        if copied is None or copied.event.processing_info.status != row.event.processing_info.status:
            return row
        row = copied


def _before(side: Side, row: Row, stages: Sequence[str]) -> Sequence[Row]:
    """The rows of some stages that the flow had appended before a row."""
    rows = (other for name in stages for other in side.journals.get(f"data:{name}", ()))
    return [other for other in rows if other.order < row.order and not other.is_effect]

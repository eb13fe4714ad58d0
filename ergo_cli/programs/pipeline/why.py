"""The chain behind a record of a flow: the stage that made it, and the rows that it was made of, back to the source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.core.diagnostics import counted
from ergo_cli.core.json import Item, JsonValue, Location, Member, canonical, decode, render
from ergo_cli.core.tree_differences import differing_members
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.changed_code import change_cause, changes_of_part, code_of
from ergo_cli.programs.kind import Asked
from ergo_cli.programs.pipeline.authoring import Join, Sink, Source, Stateful, Transform
from ergo_cli.programs.pipeline.chain_events import ChainEvent, Data, Delivery
from ergo_cli.programs.pipeline.effects import EffectRecord, effect_of
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.parents import inputs_of, performed_for
from ergo_cli.programs.pipeline.played import BothSides, Key, Row, rows_in
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.record_lines import parts_of as parts_of_record
from ergo_cli.programs.pipeline.recorded import JournalRecord, PipelineEpisode
from ergo_cli.programs.recorded import JournalDifference

DEEPEST = 100
"""How many steps a chain goes back."""

_MOST = 8
"""How many of the rows that a stage has gathered are shown."""


def parts_of(episode: PipelineEpisode) -> Sequence[str]:
    """What a path may name: stages, types of effects, rows and receipts as ``stage:row``, ids of events."""
    stages = episode.manifest.stages
    rows = [row for number, call in enumerate(episode.calls) for row in rows_in(call, 0, number, stages)]
    effects = [effect.descriptor.effect_type for effect in episode.effects]
    names, ids = [key.name for key, _, _ in rows], [event.id for _, event, _ in rows]
    return [*dict.fromkeys((*episode.manifest.order, *effects, *names, *ids))]


def cause_of(program: PipelineProgram, episode: PipelineEpisode, asked: Asked) -> Cause:
    """The chain behind the first difference, or behind what a path names, one of ``parts_of``."""
    return _Chain(program, episode, asked).cause()


class Pair(Struct, frozen=True):
    """A row on both sides, None where a side has none."""

    key: Key
    recorded: Row | None
    today: Row | None

    @property
    def rows(self) -> list[Row]:
        """The rows of the sides that have one."""
        return [row for row in (self.recorded, self.today) if row is not None]

    @property
    def differs(self) -> bool:
        """Whether the sides say something else."""
        one, other = self.recorded, self.today
        if one is not None and other is not None and one.text is other.text:
            return False
        return _said(one) != _said(other)


class _Chain:
    def __init__(self, program: PipelineProgram, episode: PipelineEpisode, asked: Asked) -> None:
        self._program = program
        self._manifest: FlowManifest = episode.manifest
        self._episode = episode
        self._asked = asked
        self._sides = BothSides(program, episode, asked, self._stages_to_keep())
        self._shown: set[Key] = set()
        self._marked: set[str] = set()

    def cause(self) -> Cause:
        path = self._asked.path
        if path is None:
            return self._of_difference(self._asked.differences[0])
        pairs = [pair for pair in self._pairs() if self._is_named(pair, path)]
        pair = next((pair for pair in pairs if pair.differs), pairs[-1] if pairs else None)
        if pair is None:
            return Cause(part=path, made="no record of this episode")
        return self._top(pair)

    def _stages_to_keep(self) -> frozenset[str]:
        """The stages that lead to the one that is asked about; all where that is not known beforehand."""
        path = self._asked.path
        asked = self._asked.differences[0].node if path is None and self._asked.differences else path
        return self._manifest.upstream.get(asked or "", frozenset(self._manifest.stages))

    def _pairs(self) -> list[Pair]:
        """The rows and receipts of the episode."""
        keys = (*self._sides.recorded.rows, *self._sides.today.rows)
        return [self._pair(key) for key in dict.fromkeys(keys) if key.episode == self._sides.last]

    def _pair(self, key: Key) -> Pair:
        return Pair(key, self._sides.recorded.rows.get(key), self._sides.today.rows.get(key))

    def _is_named(self, pair: Pair, path: str) -> bool:
        if path in (pair.key.stage, pair.key.name):
            return True
        effects = (row.record.effect for row in pair.rows)
        return any(row.id == path for row in pair.rows) or any(
            effect is not None and effect.descriptor.effect_type == path for effect in effects
        )

    # the part that is asked about

    def _of_difference(self, difference: JournalDifference) -> Cause:
        log = difference.log
        records = [None, None] if log is None else [_record(log.expected), _record(log.actual)]
        if log is None or not any(records):
            return self._of_fault(difference)
        known = next(record for record in records if record is not None)
        key = Key(self._sides.last, self._call_at(difference), known.label, log.first_divergent_seq)
        pair = self._pair(key)
        if [_event(row) for row in (pair.recorded, pair.today)] == [each and each.chain_event for each in records]:
            return self._top(pair)
        return self._of_end(known, records)

    def _of_fault(self, difference: JournalDifference) -> Cause:
        """An effect that has no recorded outcome, or how a call ended."""
        recorded = None if difference.expected is None else _json(difference.expected)
        stage, type_name = difference.node, _asked_type(difference.actual)
        if stage is None:
            today = None if difference.actual is None else _json(difference.actual)
            changes = tuple(change_cause(change) for change in self._asked.changes if not change.idle)
            return Cause(part=_end_of(difference.location), recorded=recorded, today=today, sources=changes)
        today = None if type_name is None else f"{type_name} {_json(self._sides.today.unanswered)}"
        pairs = [pair for pair in self._pairs() if pair.key.stage in self._inbound(stage)]
        behind = (self._row(pair, "reads", DEEPEST) for pair in pairs[-1:])
        made = replace(self._stage(stage), sources=(*self._code(stage), *behind))
        return Cause(part=f"an effect of {stage}", recorded=recorded, today=today, sources=(made,))

    def _of_end(self, record: JournalRecord, records: Sequence[JournalRecord | None]) -> Cause:
        """What the end of a stage says, and the rows of it that only one side has."""
        sides = [None if each is None else _words(each) for each in records]
        stage = record.stage or ""
        keys = dict.fromkeys((*self._sides.recorded.rows, *self._sides.today.rows))
        pairs = (self._pair(key) for key in keys if key.label == record.label)
        differing = islice((pair for pair in pairs if pair.differs), _MOST)
        behind = tuple(self._row(pair, "wrote", DEEPEST) for pair in differing)
        made = replace(self._stage(stage), sources=(*self._code(stage), *behind))
        return Cause(part=record.label, recorded=sides[0], today=sides[1], sources=(made,))

    def _call_at(self, difference: JournalDifference) -> int:
        """The call of the episode that a difference is in."""
        place = difference.location[3] if len(difference.location) > 3 else Item(0)
        index = place.index if isinstance(place, Item) else 0
        return max((number for number, call in enumerate(self._episode.calls) if call.first <= index), default=0)

    def _top(self, pair: Pair) -> Cause:
        """A row with its members that differ, and the stage that made it."""
        stage = pair.key.stage
        self._shown.add(pair.key)
        behind = (*self._code(stage), *self._behind(pair, DEEPEST - 1))
        made = replace(self._stage(stage), sources=behind)
        if pair.differs and not any(each.differs and not each.is_change for each in behind):
            made = replace(made, made=f"{made.made}, the first that differs")
        members = (*_members(pair), *(self._request(pair) if _effect_in(pair.rows[0]) else ()))
        return replace(self._cause(pair, ""), made="", sources=(*members, made))

    # steps

    def _row(self, pair: Pair, role: str, steps: int) -> Cause:
        """A row, and what is behind it, as far as ``steps``."""
        stage, cause = pair.key.stage, self._cause(pair, role)
        code = self._stage(stage)
        cause = replace(cause, file=code.file, line=code.line)
        if pair.key in self._shown or not steps:
            return replace(cause, is_repeated=steps > 0)
        self._shown.add(pair.key)
        behind = (*self._code(stage), *self._behind(pair, steps - 1))
        if pair.differs and not any(each.differs and not each.is_change for each in behind):
            cause = replace(cause, made=f"{cause.made}, the first that differs")
        return replace(cause, sources=behind)

    def _cause(self, pair: Pair, role: str) -> Cause:
        episode = self._sides.episode_ids[pair.key.episode]
        return Cause(
            part=pair.key.name,
            role=role,
            recorded=_said(pair.recorded),
            today=_said(pair.today),
            made=_type_of(self._manifest, pair.key.stage),
            episode=episode if pair.key.episode != self._sides.last else None,
        )

    def _behind(self, pair: Pair, steps: int) -> Iterator[Cause]:
        """The effects that were performed for a row, and the rows that it was made of; of a source's the payload.

        Where some of them differ, equal ones are not followed further.
        """
        for key in self._keys(lambda side, row: performed_for(side, row), pair):
            yield self._effect(self._pair(key))
        if not self._inbound(pair.key.stage):
            yield from self._payload(pair)
            return
        reads = [self._pair(key) for key in self._keys(self._direct, pair)]
        gathered = [self._pair(key) for key in self._keys(self._gathered, pair)]
        others = [each for each in gathered if each not in reads]
        differing = [each for each in others if each.differs]
        shown = differing[-_MOST:] if differing or reads else others[-1:]
        is_any_other = any(each.differs for each in (*reads, *shown))
        for each in reads:
            yield self._row(each, "reads", steps if each.differs or not is_any_other else 0)
        for each in shown:
            yield self._row(each, "gathered", steps if each.differs or not is_any_other else 0)
        if len(others) > len(shown):
            count = counted(len(others) - len(shown), "more row" if shown else "row")
            equal = "" if len(differing) > len(shown) else ", equal on both sides"
            stages = ", ".join(dict.fromkeys(each.key.stage for each in others))
            yield Cause(part=stages, role="gathered", made=f"{count}{equal}")

    def _keys(self, find: Callable[[Any, Row], Sequence[Row]], pair: Pair) -> list[Key]:
        """The keys of the rows that are behind a row on either side."""
        sides = ((self._sides.recorded, pair.recorded), (self._sides.today, pair.today))
        return [*dict.fromkeys(found.key for side, row in sides if row is not None for found in find(side, row))]

    def _direct(self, side: Any, row: Row) -> Sequence[Row]:
        return inputs_of(side, row, self._manifest).direct

    def _gathered(self, side: Any, row: Row) -> Sequence[Row]:
        return inputs_of(side, row, self._manifest).gathered

    def _effect(self, pair: Pair) -> Cause:
        """An effect with its outcome on both sides, and what it was asked with where that differs."""
        effects = [_effect_in(row) for row in (pair.recorded, pair.today)]
        outcomes = [None if effect is None else _json(decode(wire.encode(effect.outcome))) for effect in effects]
        name = next((effect.descriptor.effect_type for effect in effects if effect is not None), pair.key.name)
        return Cause(
            part=name,
            role="performs",
            recorded=outcomes[0],
            today=outcomes[1],
            made=pair.key.name,
            sources=tuple(self._request(pair)),
        )

    def _request(self, pair: Pair) -> Iterator[Cause]:
        sides = self._sides.recorded.requests, self._sides.today.requests
        recorded, today = (_json(side[pair.key]) if pair.key in side else None for side in sides)
        if recorded != today:
            yield Cause(part="request", role="asked with", recorded=recorded, today=today)

    def _payload(self, pair: Pair) -> Iterator[Cause]:
        """The payload that a source took; of an earlier episode its row says enough."""
        ran = self._asked.ran
        if ran is not None and pair.key.episode == self._sides.last and ran.context.payload:
            text = _json(decode(ran.context.payload))
            yield Cause(part="payload", recorded=text, today=text, made=f"of event {ran.event_id}")

    # stages

    def _inbound(self, stage: str) -> Sequence[str]:
        found = self._manifest.stages.get(stage)
        return () if found is None else found.inbound

    def _stage(self, name: str) -> Cause:
        """A stage, with the place of the function that makes its rows."""
        authored = self._program.stage_named.get(name)
        code = None if authored is None else code_of(_maker(authored))
        cause = Cause(part=name, role="by", made=_type_of(self._manifest, name))
        return cause if code is None else replace(cause, file=code.file, line=code.line)

    def _code(self, stage: str) -> Iterator[Cause]:
        """What changed in a stage and in its functions, once."""
        authored = self._program.stage_named.get(stage)
        if authored is None or stage in self._marked:
            return
        self._marked.add(stage)
        functions = (getattr(authored, name) for name in authored.__struct_fields__)
        yield from map(change_cause, changes_of_part(stage, functions, self._asked.changes))


def _maker(stage: Source | Transform | Stateful | Join | Sink) -> object:
    match stage:
        case Source():
            return stage.admit
        case Transform():
            return stage.process
        case Stateful():
            return stage.emit
        case Join():
            return stage.process_event
        case Sink():
            return stage.consume


def _type_of(manifest: FlowManifest, stage: str) -> str:
    found = manifest.stages.get(stage)
    return "" if found is None else found.stage_type.value.removeprefix("Infinite").removeprefix("Finite").lower()


def _said(row: Row | None) -> str | None:
    """A row in words: its type and its payload, first how it failed."""
    return None if row is None else _words(row.record)


def _words(record: JournalRecord) -> str:
    name, fields = parts_of_record(record)
    effect = record.effect
    event = record.chain_event
    if effect is not None:
        return f"{effect.descriptor.effect_type} {_json(fields['outcome'])}"
    if event is not None and isinstance(event.content, Data):
        error = f"{fields['error']} " if "error" in fields else ""
        return f"{name} {error}{_json(event.content.payload)}"
    if event is not None and isinstance(event.content, Delivery):
        return f"{name} {_json(fields['result'])}"
    return f"{name} {_json(fields)}"


def _members(pair: Pair) -> Iterator[Cause]:
    """The members of a payload that differ."""
    events = [_event(row) for row in (pair.recorded, pair.today)]
    payloads = [each.content.payload for each in events if each is not None and isinstance(each.content, Data)]
    if len(payloads) == 2 and not any(_effect_in(row) for row in pair.rows):
        for path, recorded, today in differing_members(*map(canonical, payloads), whole=""):
            if path:
                yield Cause(part=path, role="member", recorded=_json(recorded), today=_json(today))


def _event(row: Row | None) -> ChainEvent | None:
    return None if row is None else row.event


def _effect_in(row: Row | None) -> EffectRecord | None:
    return None if row is None else effect_of(row.event)


def _record(tree: JsonValue) -> JournalRecord | None:
    if not isinstance(tree, dict) or "journal" not in tree:
        return None
    return JournalRecord.of(canonical(tree))


def _asked_type(actual: JsonValue) -> str | None:
    """The type of an effect that was asked for and has no outcome."""
    match actual:
        case {"descriptor": {"effect_type": str(name)}}:
            return name
        case _:
            return None


def _end_of(location: Location) -> str:
    """How a call ended, where the place is below that; else the place."""
    is_end = Member("end") in location
    return "the end of the call" if is_end else render(location[2:])


def _json(value: JsonValue) -> str:
    return msgspec.json.encode(value).decode()

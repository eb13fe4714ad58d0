"""What a page shows of one explained episode: what every part did, and what was recorded of the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from ergo_cli.core.json import JsonValue
from ergo_cli.report.document import EpisodeDocument, NodeDocument, RecordedNodeDocument


class Cell(NamedTuple):
    """What a part had or did; ``was`` is what it was with the program of the capture, where that is another."""

    now: Sequence[str]
    was: Sequence[str] | None = None


class PartRow(NamedTuple):
    """A part of the program; ``sign`` is ``~`` for one that did otherwise, ``+`` for one that is new."""

    sign: str
    name: str
    what: Cell
    params: Cell
    inputs: Cell
    outputs: Cell
    ran: Cell
    place: str | None


class EpisodeView(NamedTuple):
    """An episode: its parts, those that are gone, why states ran, effects and what channels said of intents."""

    rows: Sequence[PartRow]
    gone: Sequence[str]
    states: Sequence[tuple[str, str]]
    effects: Sequence[str]
    acks: Sequence[str]

    @property
    def differs(self) -> bool:
        """Whether anything did otherwise than with the program of the capture."""
        return bool(self.gone) or any(row.sign for row in self.rows)


def episode_view(episode: EpisodeDocument) -> EpisodeView:
    """The episode as a page shows it."""
    return EpisodeView(
        [_row(node) for node in episode.nodes],
        () if episode.gone is UNSET else episode.gone,
        () if episode.states is UNSET else [(each.state, each.why) for each in episode.states],
        [_text(effect) for effect in episode.effects],
        () if episode.intent_acks is UNSET else [_text(ack) for ack in episode.intent_acks],
    )


def episode_lead(episode: EpisodeDocument) -> str:
    """The decision in a sentence."""
    ended = "" if episode.termination is None else f", {_termination(episode.termination)}"
    return f"decision {episode.seq} of episode {episode.episode_id}: {episode.decision}{ended}"


def _termination(termination: JsonValue) -> str:
    return next(iter(termination)) if isinstance(termination, dict) else str(termination)


def _row(node: NodeDocument) -> PartRow:
    was = None if node.recorded is UNSET else node.recorded
    sign = "" if node.recorded is UNSET else "+" if was is None else "~"
    return PartRow(
        sign,
        node.path or node.id,
        _cell([node.impl], None if was is None else [was.impl]),
        _named(node.params, None if was is None else was.params),
        _named(node.inputs, None if was is None else was.inputs),
        _named(node.outputs, None if was is None else was.outputs),
        _cell([_ran(node)], None if was is None else [_ran(was)]),
        None if node.place is UNSET else f"{node.place.file}:{node.place.line}",
    )


def _cell(now: Sequence[str], was: Sequence[str] | None) -> Cell:
    return Cell(now, None if was == now else was)


def _named(now: Mapping[str, JsonValue], was: Mapping[str, JsonValue] | None) -> Cell:
    return _cell(_members(now), None if was is None else _members(was))


def _members(values: Mapping[str, JsonValue]) -> list[str]:
    return [f"{name} = {_value(value)}" for name, value in values.items()]


def _value(value: JsonValue) -> str:
    """A tagged value without its tag."""
    if isinstance(value, dict) and len(value) == 1:
        return _text(next(iter(value.values())))
    return _text(value)


def _text(value: JsonValue) -> str:
    return msgspec.json.encode(value).decode()


def _ran(node: NodeDocument | RecordedNodeDocument) -> str:
    ran = "yes" if node.ran else "no"
    return ran if node.why is None else f"{ran}: {node.why}"

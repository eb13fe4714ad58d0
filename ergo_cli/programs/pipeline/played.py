"""The rows of a flow up to an episode: as they were recorded, and as today's program makes them on the recording."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, cast

from msgspec import Struct

from ergo_cli.core.json import JsonValue, decode
from ergo_cli.programs.kind import Asked, Ran
from ergo_cli.programs.pipeline.chain_events import ChainEvent, Delivery
from ergo_cli.programs.pipeline.effects import AttemptStarted, effect_of
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.projection import row_of
from ergo_cli.programs.pipeline.recorded import JournalRecord, PipelineCall, PipelineEpisode
from ergo_cli.programs.pipeline.referee import PipelineReferee

RECEIPT = "receipt"
"""What stands before the name of a sink in the label of its receipts, which are no rows."""


class Key(Struct, frozen=True):
    """A row: its episode and call, both counted from 0, the label of its journal, its number there from 1."""

    episode: int
    call: int
    label: str
    number: int

    @property
    def stage(self) -> str:
        """The stage whose journal it stands in."""
        return self.label.partition(":")[2]

    @property
    def name(self) -> str:
        """What a path calls it: ``price:2``, ``error:check:1``, ``receipt:till:1``."""
        return f"{self.label.removeprefix('data:')}:{self.number}"


class Row(Struct, frozen=True):
    """A row of one side; ``order`` is its place among all rows of the flow. ``is_effect``: it records an effect."""

    key: Key
    order: int
    id: str
    is_effect: bool
    text: bytes

    @property
    def record(self) -> JournalRecord:
        """The record."""
        return JournalRecord.of(self.text)

    @property
    def event(self) -> ChainEvent:
        """The event."""
        event = self.record.chain_event
        assert event is not None, "rows are records of stages"
        return event


class Side:
    """The rows of one side, and its receipts, by their keys, their journals and the ids of their events."""

    def __init__(self, stages: Collection[str]) -> None:
        self._stages = stages
        self.rows: dict[Key, Row] = {}
        self.journals: dict[str, list[Row]] = {}
        self.by_id: dict[str, list[Row]] = {}
        self._calls: dict[tuple[str, int, int], list[Row]] = {}
        self.requests: dict[Key, JsonValue] = {}
        """What the effects of the last episode were asked with."""
        self.unanswered: JsonValue = None
        """What an effect was asked with that has no outcome: the last one."""

    def add(self, episode: int, calls: Sequence[PipelineCall], like: Side | None = None) -> None:
        """Take in the calls of an episode; texts that another side has as well are kept once."""
        for number, call in enumerate(calls):
            for key, event, text in rows_in(call, episode, number, self._stages):
                other = None if like is None else like.rows.get(key)
                text = other.text if other is not None and other.text == text else text
                row = self.rows[key] = Row(key, len(self.rows), event.id, effect_of(event) is not None, text)
                self._calls.setdefault((key.stage, episode, number), []).append(row)
                self.journals.setdefault(key.label, []).append(row)
                self.by_id.setdefault(row.id, []).append(row)

    def beside(self, row: Row) -> Sequence[Row]:
        """The rows and receipts of the row's stage in its call, in their order."""
        return self._calls[row.key.stage, row.key.episode, row.key.call]

    def ask(self, episode: int, effects: Iterable[bytes]) -> None:
        """Take in what the effects of an episode were asked with: the intents of the decision, in their order."""
        intents = (intent for effect in effects for intent in _intents(effect))
        requests = [_request(intent) for intent in intents if intent["kind"] == "io"]
        rows = [row for row in self.rows.values() if row.key.episode == episode and _is_performed(row)]
        self.requests = {row.key: request for row, request in zip(rows, requests, strict=False)}
        self.unanswered = requests[-1] if len(requests) > len(rows) else None


def rows_in(
    call: PipelineCall, episode: int, number: int, stages: Collection[str]
) -> Iterator[tuple[Key, ChainEvent, bytes]]:
    """The rows and the receipts of some stages in a call, each numbered in its journal as differences number them."""
    counts: dict[str, int] = {}
    for text in call.texts:
        record = JournalRecord.of(text) if b'"system"' not in text[:24] else None
        event = None if record is None else record.chain_event
        if record is None or event is None or record.stage not in stages:
            continue
        label = f"{RECEIPT}:{record.stage}" if isinstance(event.content, Delivery) else record.label
        if label == record.label and row_of(event) is None:
            continue
        counts[label] = counts.get(label, 0) + 1
        yield Key(episode, number, label, counts[label]), event, text


class BothSides:
    """A flow up to an episode, played again; ``stages`` are those whose rows are kept."""

    def __init__(
        self, program: PipelineProgram, episode: PipelineEpisode, asked: Asked, stages: Collection[str]
    ) -> None:
        self.recorded, self.today = Side(stages), Side(stages)
        self.episode_ids: list[int | None] = []
        referee = PipelineReferee(program)
        for ran, earlier in asked.before():
            assert isinstance(earlier, PipelineEpisode)
            self._play(referee, earlier, program.graph_id, ran)
            referee.drain_rendered()
        ran = asked.ran
        if ran is None:
            for _ in referee.close(episode):
                pass
            self._take(referee, episode)
        else:
            self._play(referee, episode, program.graph_id, ran)
        self.recorded.ask(self.last, asked.effects)
        self.today.ask(self.last, [effect.text for effect in referee.drain_rendered()])

    @property
    def last(self) -> int:
        """The place of the episode that is asked about."""
        return len(self.episode_ids) - 1

    def _play(self, referee: PipelineReferee, episode: PipelineEpisode, graph_id: str, ran: Ran) -> None:
        referee.serve(episode)
        for _ in episode.calls:
            referee.run(graph_id, ran.event_id, ran.context, None)
        self._take(referee, episode)

    def _take(self, referee: PipelineReferee, episode: PipelineEpisode) -> None:
        number = len(self.episode_ids)
        self.episode_ids.append(episode.entry.episode_id)
        self.recorded.add(number, episode.calls)
        self.today.add(number, referee.played(), self.recorded)


def _intents(effect: bytes) -> list[dict[str, Any]]:
    """The intents of an effect; a write of a sink has none."""
    return cast("dict[str, Any]", decode(effect)).get("intents", [])


def _request(intent: dict[str, Any]) -> JsonValue:
    fields = {field["name"]: field["value"]["String"] for field in intent["fields"]}
    return decode(cast("str", fields["request"]).encode())


def _is_performed(row: Row) -> bool:
    effect = row.record.effect if row.is_effect else None
    return effect is not None and not isinstance(effect.outcome, AttemptStarted)

"""A stream of events in lines, of which some are left out or get another payload."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from ergo_cli.core.json import JsonValue, decode
from ergo_cli.errors import EventError
from ergo_cli.events.exact_reader import RecordFault
from ergo_cli.events.external import EpisodeStart, EventKind
from ergo_cli.events.records import read_record
from ergo_cli.events.stream import LineTooLong, bad_line, split_lines, too_long
from ergo_cli.host.event_input import open_source, source_label


class EventLine(Struct, frozen=True, eq=False):
    """An event with its line; ``episode`` is the line that opened its episode, None for one without."""

    text: bytes
    episode: tuple[int, bytes] | None
    kind: EventKind
    semantic_kind: str | None
    payload: dict[str, JsonValue] | None

    @property
    def groups(self) -> Sequence[Hashable]:
        """Its episode, what it means, and its mechanical kind."""
        return self.episode, self.semantic_kind, self.kind

    def with_payload(self, payload: dict[str, JsonValue]) -> EventLine:
        """The same event with another payload; its line is compact."""
        record = cast("dict[str, Any]", decode(self.text))
        body = record["event"] if isinstance(record.get("event"), dict) else record
        body["payload"] = payload
        return EventLine(msgspec.json.encode(record), self.episode, self.kind, self.semantic_kind, payload)


def read_lines(path: str) -> list[EventLine]:
    """The events of a file or of standard input (``-``). Raises EventError ``driver.input_invalid``."""
    label = source_label(path)
    with open_source(path) as chunks:
        events = list(_events(chunks, label))
    if not events:
        fix = "give the stream at least one event"
        raise EventError("driver.input_invalid", f"{label} holds no events", where=label, fix=fix)
    return events


def _events(chunks: Iterable[bytes], label: str) -> Iterator[EventLine]:
    number, count, episode = 0, 0, None
    try:
        for number, line in split_lines(chunks):
            record = read_record(line, count + 1)
            if isinstance(record, EpisodeStart):
                episode = (number, line)
            elif record is not None:
                count += 1
                payload = record.payload if isinstance(record.payload, dict) else None
                yield EventLine(line, episode, record.kind, record.semantic_kind, payload)
    except RecordFault as fault:
        raise bad_line(label, number, fault) from fault
    except LineTooLong as error:
        raise too_long(label, error) from error


def text_of(stream: Sequence[EventLine]) -> bytes:
    """The stream as lines; an episode that has no event left is left out."""
    lines: list[bytes] = []
    episode = None
    for event in stream:
        if event.episode is not None and event.episode != episode:
            lines.append(event.episode[1])
        episode = event.episode
        lines.append(event.text)
    return b"\n".join(lines) + b"\n"

"""The chain behind a record or a state of a kernel run: what the step function saw, and which records wrote that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ergo_cli.core.json import JsonValue, Location, render
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.kernel.engine.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    Resumed,
    SequencedEvent,
    StateUpdated,
)
from ergo_cli.programs.kernel.history import History, named_members, value_at
from ergo_cli.programs.kernel.program import KernelProgram
from ergo_cli.programs.kernel.record_lines import record_line
from ergo_cli.programs.kernel.recorded import KernelEpisode
from ergo_cli.programs.kind import Asked
from ergo_cli.programs.recorded import JournalDifference, RecordLine

_MOST_MEMBERS = 8
_FROM_OUTSIDE = ActionSucceeded | ActionFailed | Resumed


def parts_of(program: KernelProgram[Any], episode: KernelEpisode) -> Sequence[str]:
    """The numbers of the run's records, its steps and actions, the members of its states."""
    history = History(program, episode)
    steps = filter(None, map(maker_of, history.events))
    return [*(str(event.seq) for event in history.events), *dict.fromkeys(steps), *named_members(history.states)]


def cause_of(program: KernelProgram[Any], episode: KernelEpisode, asked: Asked) -> Cause:
    """The chain behind the first difference, or behind the record, step, action or member of the state at a path."""
    return _Chain(program, episode, asked).cause()


class _Chain:
    def __init__(self, program: KernelProgram[Any], episode: KernelEpisode, asked: Asked) -> None:
        self._program = program
        self._episode = episode
        self._asked = asked
        self._history = History(program, episode)
        self._shown: set[int] = set()

    def cause(self) -> Cause:
        path = self._asked.path
        if path is None:
            return self._of_difference(self._asked.differences[0])
        seq = self._seq_of(path)
        if seq is not None:
            return self._record(seq)
        return self._member(named_members(self._history.states)[path], len(self._history.states), "")

    def _of_difference(self, difference: JournalDifference) -> Cause:
        log = difference.log
        if log is None:
            return Cause(
                part=render(difference.location[2:]),
                recorded=_json(difference.expected),
                today=_json(difference.actual),
            )
        if log.lines == (None, None):
            return Cause(part="state", recorded=log.expected_hash, today=log.actual_hash)
        seq = log.first_divergent_seq
        return Cause(
            part=f"record {seq}",
            recorded=_text(log.lines[0]),
            today=_text(log.lines[1]),
            sources=tuple(self._state_before(seq)),
        )

    def _seq_of(self, path: str) -> int | None:
        """The record with a number, or the last of a step or an action."""
        events = self._history.events
        named = (event.seq for event in reversed(events) if path in (str(event.seq), maker_of(event)))
        return next(named, None)

    def _record(self, seq: int, role: str = "") -> Cause:
        event = self._history.events[seq - 1]
        text = _text(record_line(event))
        is_new = seq not in self._shown
        self._shown.add(seq)
        return Cause(
            part=f"record {seq}",
            role=role,
            recorded=text,
            today=text,
            episode=self._earlier(seq),
            is_repeated=not is_new,
            sources=tuple(self._behind(event)) if is_new else (),
        )

    def _behind(self, event: SequencedEvent) -> Iterator[Cause]:
        """What a record answers, or what was there when a step function made it."""
        match event.event:
            case ActionSucceeded(action_id) | ActionFailed(action_id):
                request = next(
                    each.seq
                    for each in reversed(self._history.events[: event.seq])
                    if isinstance(each.event, ActionRequested) and each.event.action_id == action_id
                )
                yield self._record(request, "request")
            case StateUpdated():
                yield from self._state_before(event.seq)
            case _:
                return

    def _state_before(self, seq: int) -> Iterator[Cause]:
        state = self._history.before(seq)
        for path, place in [*named_members([state]).items()][:_MOST_MEMBERS]:
            if len(place) == 1:
                yield self._member(place, seq, "state")
                assert path

    def _member(self, member: Location, seq: int, role: str) -> Cause:
        """A member of the state before a record, and the record that wrote it."""
        text = _json(value_at(self._history.before(seq), member))
        writer = self._history.writer(member, seq)
        return Cause(
            part=render(member),
            role=role,
            recorded=text,
            today=text,
            made="" if writer else "first state",
            sources=(self._record(writer, "written by"),) if writer else (),
        )

    def _earlier(self, seq: int) -> int | None:
        """The episode that recorded an event, unless it is this one."""
        found = self._history.run.episode_of(seq)
        return None if found == self._episode.entry.episode_id else found


def maker_of(event: SequencedEvent) -> str | None:
    """The step or the action that an event belongs to."""
    match event.event:
        case StateUpdated(step_id):
            return step_id
        case ActionRequested(action_id) | ActionSucceeded(action_id) | ActionFailed(action_id):
            return action_id
        case _:
            return None


def _text(line: RecordLine | None) -> str | None:
    if line is None:
        return None
    return line.name if line.fields is None else f"{line.name} {_json(line.fields)}"


def _json(value: JsonValue) -> str | None:
    return None if value is None else msgspec.json.format(msgspec.json.encode(value), indent=0).decode()

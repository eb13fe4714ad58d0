"""The chain behind a record or a state of a kernel run: what the step function saw, and which records wrote that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from ergo_cli.core.json import JsonValue, Location, Member, canonical, render
from ergo_cli.core.members import value_at
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.changed_code import Code, change_cause, changes_in, code_of
from ergo_cli.programs.changes import Change
from ergo_cli.programs.kernel.differences import made_by_step, maker_of
from ergo_cli.programs.kernel.engine.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    SequencedEvent,
    StateUpdated,
)
from ergo_cli.programs.kernel.history import History, named_members
from ergo_cli.programs.kernel.program import KernelProgram
from ergo_cli.programs.kernel.record_lines import record_line
from ergo_cli.programs.kernel.recorded import KernelEpisode
from ergo_cli.programs.kind import Asked
from ergo_cli.programs.recorded import JournalDifference, LogDifference, RecordLine

_MOST_MEMBERS = 8
_DEEPEST = 100
"""How many steps a chain goes back."""


def parts_of(program: KernelProgram[Any], episode: KernelEpisode) -> Sequence[str]:
    """The numbers of the run's records, its steps and actions, the members of its states."""
    history = History.of_episode(program, episode)
    makers = filter(None, map(maker_of, history.events))
    return [*(str(event.seq) for event in history.events), *dict.fromkeys(makers), *named_members(history.states)]


def cause_of(program: KernelProgram[Any], episode: KernelEpisode, asked: Asked) -> Cause:
    """The chain behind the first difference, or behind the record, step, action or member of the state at a path."""
    return _Chain(program, episode, asked).cause()


class _Chain:
    def __init__(self, program: KernelProgram[Any], episode: KernelEpisode, asked: Asked) -> None:
        self._program = program
        self._episode = episode
        self._asked = asked
        self._history = History.of_episode(program, episode)
        self._states = _RecordedStates(self._history, episode, asked.differences)
        self._shown: set[str] = set()

    def cause(self) -> Cause:
        path, differences = self._asked.path, self._asked.differences
        if path is None:
            return self._difference(differences[0])
        seq = self._seq_of(path)
        if seq is None:
            return self._member(named_members(self._history.states)[path], len(self._history.states), "", _DEEPEST)
        logs = ((each, each.log) for each in differences if each.log is not None and each.log.lines != (None, None))
        at_seq = (difference for difference, log in logs if log.first_divergent_seq == seq)
        difference = next(at_seq, None)
        return self._record(seq, "", _DEEPEST) if difference is None else self._difference(difference)

    def _seq_of(self, path: str) -> int | None:
        """The record with a number, or the last of a step or an action; None for a member of the state."""
        events = self._history.events
        named = (event.seq for event in reversed(events) if path in (str(event.seq), maker_of(event)))
        return next(named, None)

    def _difference(self, difference: JournalDifference) -> Cause:
        log = difference.log
        if log is None:
            recorded, today = _json(difference.expected), _json(difference.actual)
            part = render(difference.location[4:]) or render(difference.location)
            return Cause(part=part, recorded=recorded, today=today, sources=(*self._function(self._program.step),))
        if log.lines == (None, None):
            return self._state(difference, log)
        part, (recorded, today) = f"record {log.first_divergent_seq}", map(_text, log.lines)
        made = "" if log.error is None else f"today the call ends with {log.error}"
        return Cause(part=part, recorded=recorded, today=today, made=made, sources=tuple(self._behind_difference(log)))

    def _behind_difference(self, log: LogDifference) -> Iterator[Cause]:
        """The function that answers otherwise or raises, and what it had before it."""
        seq, is_reduced = log.first_divergent_seq, (log.error or "").startswith("kernel.reducer")
        yield from self._function(self._program.reduce if is_reduced else self._program.step)
        if made_by_step(log.actual or log.expected):
            yield from self._state_before(seq, _DEEPEST)
        elif log.expected is not None:
            yield from self._behind(self._history.events[seq - 1], _DEEPEST)

    def _state(self, difference: JournalDifference, log: LogDifference) -> Cause:
        """States that differ: the members, each with the record that wrote it, and the function that made them."""
        seq, made = log.first_divergent_seq, log.error or ""
        if Member("initial") in difference.location:
            found = (Cause(part=path, role="state", recorded=_line(a), today=_line(b)) for path, a, b in log.state)
            return Cause(part="first state", made=made, sources=(*found, *self._function(self._program.initial_state)))
        members = [self._member(place, seq + 1, "state", _DEEPEST) for place in self._states.in_doubt(seq)]
        named = {member.part for member in members}
        members += [self._gone(path, was, seq) for path, was, _ in log.state if path not in named]
        if not made and any(member.is_unknown for member in members):
            made = f"only a digest is recorded; last the same after record {self._states.agreed}"
        sources = (*members, *self._function(self._program.reduce))
        return Cause(part=f"state after record {seq}", made=made, sources=sources)

    def _gone(self, path: str, recorded: JsonValue, seq: int) -> Cause:
        """A member that today's state lacks, and the record that wrote what it was in."""
        named = named_members([self._history.before(seq + 1)])
        above = [place for name, place in named.items() if path.startswith((f"{name}.", f"{name}["))]
        writer = self._history.writer(above[-1], seq + 1) if above else 0
        sources = (self._record(writer, "written by", _DEEPEST),) if writer else ()
        return Cause(part=path, role="state", recorded=_line(recorded), today=_line(None), sources=sources)

    def _function(self, function: object) -> Iterator[Cause]:
        """A function of the program, with what changed in it, or in what it names; shown once."""
        code = code_of(function)
        if code is None or not self._is_new(f"{code.file}:{code.line}"):
            return
        changes = changes_in(function, self._asked.changes)
        own = next((change for change in changes if _is_of(change, code)), None)
        others = tuple(change_cause(change) for change in changes if change is not own)
        whole = Cause(part=code.name, file=code.file, line=code.line) if own is None else change_cause(own)
        yield msgspec.structs.replace(whole, part=code.name, role="by", sources=others)

    def _record(self, seq: int, role: str, steps: int) -> Cause:
        event, part = self._history.events[seq - 1], f"record {seq}"
        text = _text(record_line(event))
        is_new = self._is_new(part)
        sources = tuple(self._behind(event, steps - 1)) if is_new and steps else ()
        return Cause(
            part=part,
            role=role,
            recorded=text,
            today=text,
            episode=self._earlier(seq),
            is_repeated=not is_new and self._has_sources(event),
            sources=sources,
        )

    def _behind(self, event: SequencedEvent, steps: int) -> Iterator[Cause]:
        """The request that a result answers; of a step's new values the state that it made them of."""
        match event.event:
            case ActionSucceeded(action_id) | ActionFailed(action_id):
                requests = (each for each in reversed(self._history.events[: event.seq]) if _asks(each, action_id))
                yield from (self._record(request.seq, "request", steps) for request in [*requests][:1])
            case StateUpdated():
                found = self._state_before(event.seq, steps)
                yield from (member for member in found if member.today != _line(None))
            case _:
                return

    def _has_sources(self, event: SequencedEvent) -> bool:
        return isinstance(event.event, ActionSucceeded | ActionFailed | StateUpdated)

    def _state_before(self, seq: int, steps: int) -> Iterator[Cause]:
        """The members that the step function looked at."""
        for place in self._history.read(seq)[:_MOST_MEMBERS]:
            yield self._member(place, seq, "state", steps)

    def _member(self, place: Location, seq: int, role: str, steps: int) -> Cause:
        """A member of the state before a record, and the record that wrote it."""
        writer, today = self._history.writer(place, seq), value_at(self._history.before(seq), place)
        is_known, recorded = self._states.recorded(place, today, writer)
        differs = is_known and canonical(recorded) != canonical(today)
        is_new = self._is_new(f"{render(place)} of {writer}")
        sources = [self._record(writer, "written by", steps - 1)] if writer and steps and is_new else []
        if differs or not is_known:
            sources += self._function(self._program.reduce)
        return Cause(
            part=render(place),
            role=role,
            recorded=_line(recorded) if is_known else None,
            today=_line(today),
            made="" if writer or today is None else "first state",
            episode=None if writer or today is None else self._earlier(1),
            is_unknown=not is_known,
            is_repeated=bool(writer) and not is_new,
            sources=tuple(sources),
        )

    def _is_new(self, part: str) -> bool:
        is_new = part not in self._shown
        self._shown.add(part)
        return is_new

    def _earlier(self, seq: int) -> int | None:
        """The episode that recorded an event, unless it is this one."""
        found = self._episode.calls[-1].run.episode_of(seq)
        return None if found == self._episode.entry.episode_id else found


class _RecordedStates:
    """What is known of the states that were recorded, of which a bundle holds digests alone.

    Where today's states have these, they are the same. Where one has not, the members that were written since the last
    that has are in doubt, but for those that a difference gives with both values.
    """

    def __init__(self, history: History, episode: KernelEpisode, differences: Sequence[JournalDifference]) -> None:
        digests = episode.calls[-1].run.digests
        texts = history.texts
        self._history = history
        same = [seq for seq in range(len(texts)) if not seq or digests.get(seq) == sha256(texts[seq]).hexdigest()]
        logs = [each.log for each in differences if each.log is not None and each.log.lines == (None, None)]
        self._differ = bool(logs)
        self.agreed = same[-1] if same else 0
        """The last record after which today's state is the recorded one."""
        self._members = {path: (recorded, today) for log in logs for path, recorded, today in log.state}

    def recorded(self, place: Location, today: JsonValue, writer: int) -> tuple[bool, JsonValue]:
        """Whether the recorded value of a member is known, and what it is; it was written by the record ``writer``."""
        known = self._members.get(render(place))
        if known is not None and canonical(known[1]) == canonical(today):
            return True, known[0]
        return not self._differ or writer <= self.agreed or bool(self._members), today

    def in_doubt(self, seq: int) -> list[Location]:
        """The members that differ after a record, as far as that is known; else those written since states agreed."""
        after, agreed = self._history.before(seq + 1), self._history.before(self.agreed + 1)
        named = named_members([after, agreed])
        if self._members:
            return [place for path, place in named.items() if path in self._members]
        parts = [place for place in named.values() if not isinstance(value_at(after, place), dict)]
        return [place for place in parts if canonical(value_at(after, place)) != canonical(value_at(agreed, place))]


def _asks(event: SequencedEvent, action_id: str) -> bool:
    return isinstance(event.event, ActionRequested) and event.event.action_id == action_id


def _is_of(change: Change, code: Code) -> bool:
    """Whether a change is in this function itself."""
    return change.file is not None and code.file.endswith(change.file) and change.subject == f"in {code.name}"


def _text(line: RecordLine | None) -> str | None:
    if line is None:
        return None
    return line.name if line.fields is None else f"{line.name} {_line(line.fields)}"


def _json(value: JsonValue) -> str | None:
    return None if value is None else _line(value)


def _line(value: JsonValue) -> str:
    """A value on one line of JSON; a member that is missing as ``null``."""
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()

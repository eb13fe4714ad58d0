"""The chain behind an event, a key or a fact of a plan run: the state that made it, and what that state read.

Every attempt of a replay begins on the recorded context. What a state reads is recorded beside what today's handler of
the state that wrote it leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.core.json import JsonValue, Member, render
from ergo_cli.core.wire import WireError
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.changed_code import code_of
from ergo_cli.programs.kind import Asked
from ergo_cli.programs.plan.events import Envelope, FactRecorded, RunStarted, StateCompleted
from ergo_cli.programs.plan.named_contents import bound_fact
from ergo_cli.programs.plan.origins import Link, Origins
from ergo_cli.programs.plan.program import PlanProgram
from ergo_cli.programs.plan.record_lines import parts_of as parts_of_event
from ergo_cli.programs.plan.recorded import PlanEpisode
from ergo_cli.programs.plan.runs_of_episode import AttemptRecords, EpisodeRuns
from ergo_cli.programs.plan.watched import Place
from ergo_cli.programs.recorded import JournalDifference

DEEPEST = 100
"""How many steps a chain goes back."""

_IDS = ("snapshot_id", "manifest_id", "payload_id", "meta")
"""How the members of events end that name an artifact, or are the digest of a question."""


def parts_of(episode: PlanEpisode) -> Sequence[str]:
    """What a path may name: states, keys of their contexts, facts, the numbers of the run's records."""
    runs = EpisodeRuns(episode)
    states = [attempt.state for attempt in runs.all_attempts]
    keys = [key for attempt in runs.all_attempts for key in runs.context(attempt.snapshot)]
    numbers = [str(event.seq) for event in runs.streams[runs.own]]
    return [*dict.fromkeys((*states, *keys, *runs.fact_keys(), *numbers))]


def cause_of(program: PlanProgram, episode: PlanEpisode, asked: Asked) -> Cause:
    """The chain behind the first difference, or behind the state, key, fact or record that a path names."""
    return _Chain(program, episode, asked).cause()


class _Chain:
    def __init__(self, program: PlanProgram, episode: PlanEpisode, asked: Asked) -> None:
        self._asked = asked
        self._origins = Origins(program, episode, asked)
        self._runs = self._origins.runs
        logs = (difference.log for difference in asked.differences if difference.log is not None)
        self._logs = {(log.run_id, log.first_divergent_seq): log for log in logs}
        self._shown: set[Place] = set()

    def cause(self) -> Cause:
        path = self._asked.path
        if path is None:
            return self._of_difference(self._asked.differences[0])
        attempts = self._runs.all_attempts
        of_state = next((each for each in reversed(attempts) if each.state == path), None)
        if of_state is not None:
            return self._record(of_state.run, self._telling_seq(of_state))
        leaving = (each for each in reversed(attempts) if path in self._runs.context(each.snapshot))
        last = next(leaving, None)
        if last is not None:
            return self._key(last, path)
        run, seq = self._runs.bound_at(path) or (self._runs.own, int(path))
        return self._record(run, seq)

    def _of_difference(self, difference: JournalDifference) -> Cause:
        log = difference.log
        if log is not None:
            return self._record(log.run_id, log.first_divergent_seq)
        sides = _json(difference.expected), _json(difference.actual)
        is_end = difference.location[-1:] == (Member("error"),)
        place = "the end of the call" if is_end else render(difference.location[2:])
        changes = tuple(self._origins.all_changes())
        return Cause(part=place, recorded=sides[0], today=sides[1], sources=changes)

    def _telling_seq(self, attempt: AttemptRecords) -> int:
        """The event of an attempt that differs, or its last."""
        differing = (event.seq for event in attempt.events if (attempt.run, event.seq) in self._logs)
        return next(differing, attempt.events[-1].seq)

    def _key(self, last: AttemptRecords, key: str) -> Cause:
        """The value that a key had in the end, and the attempt that wrote it."""
        if key in self._runs.changed(last):
            link = self._origins.written(last, key, "")
        else:
            link = self._origins.read(last, key)
        writer = link.attempt
        return replace(
            link.cause,
            role="",
            sources=link.cause.sources if writer is None else (self._attempt(writer, "by", DEEPEST),),
        )

    def _record(self, run: str, seq: int, role: str = "", steps: int = DEEPEST) -> Cause:
        """An event, what it wrote, and the attempt that made it."""
        recorded, log = self._runs.record(run, seq), self._logs.get((run, seq))
        today = recorded if log is None else _envelope(log.actual)
        attempt = self._runs.attempt_at(run, seq)
        event = recorded or today
        behind = self._without_attempt(run, event) if attempt is None else [self._attempt(attempt, "by", steps)]
        return Cause(
            part=f"record {seq}{self._runs.of_child(run)}",
            role=role,
            recorded=self._said(recorded),
            today=self._said(today),
            sources=(*self._written(run, seq, event, attempt), *behind),
        )

    def _written(self, run: str, seq: int, event: Envelope | None, attempt: AttemptRecords | None) -> Iterator[Cause]:
        """The members that an event wrote: those that differ, or all of an attempt that completed."""
        log = self._logs.get((run, seq))
        if log is not None:
            for path, recorded, today in log.state:
                yield Cause(part=path, role="writes", recorded=_json(recorded), today=_json(today))
        elif attempt is not None and event is not None and isinstance(event.kernel, StateCompleted):
            for key in self._origins.changed_keys(attempt):
                yield replace(self._origins.written(attempt, key, "writes").cause, made="")

    def _without_attempt(self, run: str, event: Envelope | None) -> Iterator[Cause]:
        """What is behind an event that no handler made: what the run was given, or the plan itself."""
        spawning = self._runs.spawning(run)
        if event is None or not isinstance(event.kernel, RunStarted):
            yield from self._origins.all_changes()
        elif spawning is not None:
            yield self._attempt(spawning[0], "spawned by", DEEPEST)
        else:
            yield from self._origins.first_context()

    def _said(self, envelope: Envelope | None) -> str | None:
        """An event in words: its name and its place, of a fact its answer; never the id of an artifact."""
        if envelope is None:
            return None
        fact = bound_fact(envelope)
        name, place, fields = parts_of_event(envelope)
        shown = {key: value for key, value in fields.items() if not key.endswith(_IDS)}
        said = _json(shown) if shown else ""
        if fact is not None:
            said = _queued(fact) or self._runs.text(fact.payload_id)
        return " ".join(filter(None, (name, place, said)))

    def _attempt(self, attempt: AttemptRecords, role: str, steps: int) -> Cause:
        """An attempt, and what is behind it, as far as ``steps``."""
        return self._followed(Link(Cause(part=attempt.name, role=role), attempt), steps)

    def _followed(self, link: Link, steps: int) -> Cause:
        """A cause with what is behind its attempt, which is shown once."""
        cause, attempt = link.cause, link.attempt
        if attempt is None:
            return cause
        code = code_of(self._origins.handler(attempt))
        if code is not None:
            cause = replace(cause, file=code.file, line=code.line)
        if attempt.place in self._shown or not steps:
            return replace(cause, is_repeated=steps > 0)
        self._shown.add(attempt.place)
        return replace(cause, sources=(*cause.sources, *self._behind(attempt, steps - 1)))

    def _behind(self, attempt: AttemptRecords, steps: int) -> Iterator[Cause]:
        """The changes in the code of an attempt, the facts that it asked for and the keys that it read.

        Where some of them differ, equal ones are not followed further.
        """
        yield from self._origins.changes(attempt)
        links = [*self._origins.seen(attempt)]
        is_any_other = any(link.cause.differs for link in links)
        for link in links:
            yield self._followed(link, steps if link.cause.differs or not is_any_other else 0)


def _queued(fact: FactRecorded) -> str | None:
    """The request of a call that was queued; None of any other."""
    match fact.meta:
        case {"effect": {"request": request}}:
            return _json(request)
        case _:
            return None


def _envelope(tree: JsonValue) -> Envelope | None:
    try:
        return None if tree is None else wire.read(tree, Envelope)
    except WireError:
        return None


def _json(value: JsonValue) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()

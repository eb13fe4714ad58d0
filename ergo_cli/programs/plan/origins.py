"""Where a value that an attempt saw comes from: another attempt, the first context, the world, a child run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.json import JsonValue, NotCanonicalError, decode
from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.changed_code import change_cause, changes_in, changes_of_part, code_of
from ergo_cli.programs.kind import Asked
from ergo_cli.programs.plan.canonical import SecretsNotAllowed, canonical_json
from ergo_cli.programs.plan.children import AWAIT, SPAWN
from ergo_cli.programs.plan.errors import PlanError
from ergo_cli.programs.plan.named_contents import bound_fact
from ergo_cli.programs.plan.program import PlanProgram
from ergo_cli.programs.plan.record_lines import parts_of
from ergo_cli.programs.plan.recorded import PlanEpisode
from ergo_cli.programs.plan.runs_of_episode import AttemptRecords, EpisodeRuns
from ergo_cli.programs.plan.watched import Seen, watched
from ergo_cli.stores.artifacts import artifact_id

_MOST = 50
"""How many keys that a state reads are listed."""


class Link(Struct, frozen=True):
    """A cause, and the attempt that is behind it, if one is."""

    cause: Cause
    attempt: AttemptRecords | None = None


class Origins:
    """What is known of the values of an episode; today's are those that today's handlers leave and ask for."""

    def __init__(self, program: PlanProgram, episode: PlanEpisode, asked: Asked) -> None:
        assert asked.ran is not None, "closing records nothing of a plan"
        self.runs = EpisodeRuns(episode)
        self._program = program
        self._ran = asked.ran
        self._changes = asked.changes
        self._seen = watched(program, episode, asked.ran)

    def handler(self, attempt: AttemptRecords) -> object:
        """Today's handler of an attempt."""
        seen = self._seen.get(attempt.place)
        if seen is not None:
            return seen.handler
        return next((state.handle for state in self._program.states if state.id == attempt.state), None)

    def changes(self, attempt: AttemptRecords) -> Iterator[Cause]:
        """What changed in the state of an attempt, and in its handler."""
        return map(change_cause, changes_of_part(attempt.state, [self.handler(attempt)], self._changes))

    def all_changes(self) -> Iterator[Cause]:
        """Whatever changed in the program."""
        return (change_cause(change) for change in self._changes if not change.idle)

    def left(self, attempt: AttemptRecords, key: str) -> str | None:
        """The value that today's handler leaves under a key; the recorded one where it was not called."""
        seen = self._seen.get(attempt.place)
        if seen is None:
            return _value(self.runs.context(attempt.snapshot), key)
        return self._shown(seen.left(), key)

    def changed_keys(self, attempt: AttemptRecords) -> Sequence[str]:
        """The keys that an attempt changes, recorded or today."""
        seen, base = self._seen.get(attempt.place), self.runs.context(attempt.base)
        left = base if seen is None or seen.has_failed else seen.left()
        today = [key for key in (*left, *base) if _value(left, key) != _value(base, key)]
        return list(dict.fromkeys((*self.runs.changed(attempt), *today)))

    def seen(self, attempt: AttemptRecords) -> Iterator[Link]:
        """The facts that an attempt asked for, and the keys that it read, in the order of today's handler.

        Of one that ended early today it is not known whether it would have asked for the recorded facts.
        """
        seen = self._seen.get(attempt.place)
        keys = [fact.key for event in attempt.events if (fact := bound_fact(event)) is not None]
        asked = [] if seen is None else [*seen.asked]
        for key in dict.fromkeys(asked if seen is not None and seen.has_failed else (*asked, *keys)):
            yield self._fact(attempt, seen, key)
        for key in [] if seen is None else [*seen.reads][:_MOST]:
            yield self.read(attempt, key)

    def read(self, attempt: AttemptRecords, key: str) -> Link:
        """A key of the context that an attempt began on, and the attempt that wrote it."""
        writer = self.runs.writer(attempt, key)
        if writer is None:
            return self._first(attempt.run, key)
        return self.written(writer, key, "reads")

    def written(self, writer: AttemptRecords, key: str, role: str) -> Link:
        """A key that an attempt wrote."""
        recorded = _value(self.runs.context(writer.snapshot), key)
        made = f"{writer.name}, record {writer.events[-1].seq}{self.runs.of_child(writer.run)}"
        return Link(Cause(part=key, role=role, recorded=recorded, today=self.left(writer, key), made=made), writer)

    def first_context(self) -> Iterator[Cause]:
        """What is behind the first context of the episode's run."""
        function = self._program.initial_context
        found = changes_in(function, self._changes) if function is not None else ()
        yield from map(change_cause, found) if found else self.all_changes()
        yield self._payload()

    def _first(self, run: str, key: str) -> Link:
        """A key of the first context of a run: of the payload, or from the attempt that spawned the run."""
        started, spawning = self.runs.started(run), self.runs.spawning(run)
        context = self.runs.context(None if started is None else started.initial_snapshot_id)
        given = self._given(run)
        today = context if given is None else given
        cause = Cause(part=key, role="reads", recorded=_value(context, key), today=self._shown(today, key))
        if key not in context and key not in today:
            return Link(replace(cause, made="not there"))
        if spawning is not None:
            return Link(replace(cause, made=f"given by {spawning[0].name}"), spawning[0])
        function = self._program.initial_context
        if function is None:
            return Link(replace(cause, key=key))
        code = code_of(function)
        file, line = (None, None) if code is None else (code.file, code.line)
        sources = (*map(change_cause, changes_in(function, self._changes)), self._payload())
        return Link(replace(cause, made="initial_context", file=file, line=line, sources=sources))

    def _given(self, run: str) -> dict[str, FreeValue] | None:
        """The first context that today's program gives a run; None where that is not known."""
        spawning = self.runs.spawning(run)
        if spawning is None:
            try:
                return self._program.first_context(self._payload_value())
            except PlanError:
                return {}
        attempt, key = spawning
        seen = self._seen.get(attempt.place)
        if seen is None or key not in seen.asked:
            return None
        request = cast("dict[str, Any]", seen.asked[key][1])
        return request.get("initial_context") or {}

    def _payload_value(self) -> FreeValue:
        payload = self._ran.context.payload
        return decode(payload) if payload else None

    def _payload(self) -> Cause:
        text = _json(self._payload_value())
        return Cause(part="payload", recorded=text, today=text, made=f"of event {self._ran.event_id}")

    def _fact(self, attempt: AttemptRecords, seen: Seen | None, key: str) -> Link:
        """A fact that an attempt asked for, today or when it was recorded, and the question where that differs."""
        namespace, request = ("", None) if seen is None else seen.asked.get(key, ("", None))
        found, failed = self.runs.fact(attempt.run, key), self.runs.failed_call(attempt, key)
        if failed is not None:
            text = str(parts_of(failed)[2]["error"])
            return Link(Cause(part=key, role="asks", recorded=text, today=text, made=f"record {failed.seq}"))
        if found is None:
            return Link(Cause(part=key, role="asks", today=namespace or "a value", made="not recorded"))
        envelope, fact = found
        answer = self.runs.text(fact.payload_id)
        is_asked = seen is None or key in seen.asked or key.startswith("mfm:")
        made = f"answer of {namespace}, record {envelope.seq}" if namespace else f"record {envelope.seq}"
        child = self.runs.child(attempt.run, key) if namespace == SPAWN else None
        sources = tuple(self._question(fact.meta, request, child)) if namespace else ()
        cause = Cause(part=key, role="asks", recorded=answer, today=answer if is_asked else None, made=made)
        return Link(replace(cause, sources=sources), self.runs.awaited(fact) if namespace == AWAIT else None)

    def _question(self, meta: FreeValue, request: FreeValue, child: str | None) -> Iterator[Cause]:
        """The question of a call where today's is another.

        Of one that was sent the recording has only a digest; of a child's run it has the first context.
        """
        try:
            text = canonical_json(request, self._program.allowed_names).decode()
        except (SecretsNotAllowed, NotCanonicalError):
            return
        members = cast("dict[str, Any]", meta) if isinstance(meta, dict) else {}
        if "effect" in members:
            recorded = _json(members["effect"].get("request"))
            if recorded != text:
                yield Cause(part="request", recorded=recorded, today=text)
        elif members.get("request_sha256", "") not in ("", artifact_id(text.encode())):
            given = None if child is None else self._given(child)
            started = None if child is None else self.runs.started(child)
            if given is not None and started is not None:
                sides = self.runs.text(started.initial_snapshot_id), _json(given)
                if sides[0] != sides[1]:
                    yield Cause(part="initial_context", recorded=sides[0], today=sides[1])
                    return
            made = "another one was recorded, of which there is only a digest"
            yield Cause(part="request", today=text, made=made, is_unknown=True)

    def _shown(self, context: dict[str, FreeValue], key: str) -> str | None:
        """A value of today; nothing of what looks like a secret."""
        if key not in context:
            return None
        try:
            canonical_json({key: context[key]}, self._program.allowed_names)
        except (SecretsNotAllowed, NotCanonicalError):
            return "(not shown)"
        return _value(context, key)


def _value(context: dict[str, FreeValue], key: str) -> str | None:
    return msgspec.json.encode(context[key]).decode() if key in context else None


def _json(value: JsonValue) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()

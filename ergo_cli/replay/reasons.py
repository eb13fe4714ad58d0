"""Why a value of one episode is what it is: the node that made it, and the chain behind it (spec 70 §8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import rehydrate_for_replay
from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.core.values import Effect, Value
from ergo_cli.errors import UsageError
from ergo_cli.host.failures import FailureSummary
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.changes import Change
from ergo_cli.programs.kind import Computing, Line, Ran
from ergo_cli.programs.program import AnyProgram
from ergo_cli.replay.explaining import Assigned, Decided, find_decision
from ergo_cli.replay.preflight import check_kind, check_version
from ergo_cli.supervisor.seam import Outcome


class Written(Struct, frozen=True):
    """The earlier event whose episode wrote a member of the context."""

    event_id: str
    seq: int


class Why(Struct, frozen=True):
    """Why a node of an episode did what it did.

    ``recorded`` and ``actual`` are the compact JSON of its effects. ``memory`` says which earlier event wrote the
    members of the context that the chain reads, ``episodes`` which event the earlier episodes of the chain are of.
    ``knows_capture``: the chain has the values of the capture's program. ``failures`` says why today's episode fails.
    ``is_recorded``: the chain is behind a part of a recorded episode, of a program that acts.
    ``changes`` are those of the program since the capture.
    """

    event_id: str | None
    seq: int
    occurrence: int
    node: str
    recorded: tuple[bytes, ...]
    actual: tuple[bytes, ...]
    cause: Cause
    memory: Mapping[str, Written]
    knows_capture: bool
    episodes: Mapping[int, Written] = {}
    failures: FailureSummary = FailureSummary()
    is_recorded: bool = False
    changes: tuple[Change, ...] = ()


def why_event(
    reader: BundleReader,
    find: Callable[[BundleReader], Assigned],
    event_id: str,
    path: str | None = None,
    occurrence: int = 0,
) -> Why | None:
    """The chain behind a node, or behind the effect with a key or of a kind; by default of the first that differs.

    None where nothing of the event differs and no path is given. For a program that computes; raises as
    ``explain_event``, and UsageError for a path that the episode does not have.
    """
    computing = reader.kind.computing
    assert computing is not None, "of a program that computes"
    programs, found = asked_episode(reader, find, event_id, occurrence)
    return _Episode(reader, computing, programs, found, occurrence).why(path)


def asked_episode(
    reader: BundleReader, find: Callable[[BundleReader], Assigned], event_id: str, occurrence: int
) -> tuple[Assigned, Decided]:
    """The programs of a bundle, and the decision for an event, whose episode ran. Raises as ``why_event``."""
    programs = find(reader)
    check_kind(reader, programs.program)
    check_version(reader.capture_version)
    BundleJournals(reader).check()
    found = find_decision(reader, event_id, occurrence)
    if not found.has_run:
        raise UsageError("cli.invalid_option_value", f"event '{event_id}': {found.remark}", where="event")
    return programs, found


class _Episode:
    """One episode, run by today's program and by that of the capture."""

    def __init__(
        self,
        reader: BundleReader,
        computing: Computing[object],
        programs: Assigned,
        found: Decided,
        occurrence: int,
    ) -> None:
        self._reader, self._computing, self._programs = reader, computing, programs
        self._found, self._occurrence = found, occurrence
        context = rehydrate_for_replay(found.origin, programs.numbers).context
        self._ran = Ran(found.origin.event_id, context)
        self._today = self._lines(programs.program)
        self._before = self._today if programs.recorded is None else self._lines(programs.recorded)

    def why(self, path: str | None) -> Why | None:
        node = self._first_difference() if path is None else self._node_of(path)
        if node is None:
            return None
        programs = self._programs
        recorded = None if programs.recorded is None else programs.recorded.value
        cause = self._computing.why(programs.program.value, recorded, self._ran, node)
        return Why(
            self._found.event.event_id,
            self._found.seq,
            self._occurrence,
            node,
            self._recorded_effects(node),
            _effects_of(self._today, node),
            cause,
            dict(self._memory(set(_keys(cause)))),
            programs.recorded is not None,
        )

    def _lines(self, program: AnyProgram) -> Sequence[Line]:
        """The nodes; in an episode that failed none has effects."""
        lines = self._computing.trace(program.value, self._ran.event_id, self._ran.context)
        if any(line.has_failed for line in lines):
            return [replace(line, effects=()) for line in lines]
        return lines

    def _first_difference(self) -> str | None:
        """The maker of the first effect that is not the recorded one, else the node that fails on one side alone."""
        return self._first_other_effect() or self._only_failure()

    def _only_failure(self) -> str | None:
        was, now = (next((line for line in lines if line.has_failed), None) for lines in (self._before, self._today))
        if self._programs.recorded is None and self._found.record.termination is Outcome.COMPLETED:
            was = None
        one = now or was
        return None if one is None or (was and was.why) == (now and now.why) else one.path

    def _first_other_effect(self) -> str | None:
        recorded = [effect.text for effect in self._found.record.effects]
        today = [(line.path, effect) for line in self._today for effect in line.effects]
        for index, effect in enumerate(recorded):
            if index >= len(today) or today[index][1] != effect:
                return self._maker_of(effect) or (today[index][0] if index < len(today) else None)
        return today[len(recorded)][0] if len(today) > len(recorded) else None

    def _maker_of(self, effect: bytes) -> str | None:
        """The first node with an effect of the key or the kind of a recorded one."""
        names = set(_names(effect))
        makers = (line.path for line in (*self._today, *self._before) if names & _names_of(line))
        return next(makers, None)

    def _node_of(self, path: str) -> str:
        """The maker of the effect that has this key or kind, else the node of this path."""
        lines = (*self._today, *self._before)
        makers = {name: line.path for line in reversed(lines) for name in _names_of(line)}
        nodes = {line.path: line.path for line in lines}
        found = {**nodes, **makers}
        if path not in found:
            message = f"event '{self._found.event.event_id}' has no node, key or kind of effect '{path}'"
            fix = did_you_mean(path, found) or f"name one of {', '.join([*makers, *nodes][:8])}"
            raise UsageError("cli.invalid_option_value", message, where="path", fix=fix)
        return found[path]

    def _recorded_effects(self, node: str) -> tuple[bytes, ...]:
        """The recorded effects of a node: those of the capture's program, or those that share a name with today's."""
        recorded = [effect.text for effect in self._found.record.effects]
        if self._programs.recorded is not None:
            return tuple((Counter(_effects_of(self._before, node)) & Counter(recorded)).elements())
        names = {name for text in _effects_of(self._today, node) for name in _names(text)}
        return tuple(effect for effect in recorded if names & set(_names(effect)))

    def _memory(self, keys: set[str]) -> Iterator[tuple[str, Written]]:
        """The last write of each key before this episode, where the context still has its value."""
        written: dict[str, tuple[Value, Written]] = {}
        for seq, record in enumerate(self._reader.decisions()):
            if seq >= self._found.seq:
                break
            for effect in record.effects:
                for write in effect.effect.writes:
                    if write.key in keys:
                        written[write.key] = write.value, Written(record.event_id, seq)
        for key, (value, place) in written.items():
            now = self._ran.context.values.get(key)
            if now is not None and Value.of(now) == value:
                yield key, place


def _effects_of(lines: Sequence[Line], node: str) -> tuple[bytes, ...]:
    return next((line.effects for line in lines if line.path == node), ())


def _names_of(line: Line) -> set[str]:
    return {name for effect in line.effects for name in _names(effect)}


def _names(effect: bytes) -> Iterator[str]:
    """What an effect can be called: the keys that it writes, or else its kind."""
    decoded = msgspec.json.decode(effect, type=Effect)
    yield from [write.key for write in decoded.writes] or [decoded.kind]


def _keys(cause: Cause) -> Iterator[str]:
    if cause.key is not None:
        yield cause.key
    for source in cause.sources:
        yield from _keys(source)

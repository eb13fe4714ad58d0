"""One recorded episode run again by today's program and by that of the capture, and the makers of its effects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from ergo_cli.bundle.schema import rehydrate_for_replay
from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.core.values import Value, decode_effect
from ergo_cli.errors import UsageError
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.kind import Computing, Line, Ran
from ergo_cli.programs.program import AnyProgram
from ergo_cli.replay.explaining import Assigned, Decided
from ergo_cli.supervisor.seam import Outcome


class TracedEpisode:
    """An episode of a program that computes, run on its recorded context.

    Raises ReplayError as ``rehydrate_for_replay``.
    """

    def __init__(self, computing: Computing[object], programs: Assigned, found: Decided) -> None:
        self._computing, self._programs = computing, programs
        self.found = found
        context = rehydrate_for_replay(found.origin, programs.numbers, programs.context_rule).context
        self._ran = Ran(found.origin.event_id, context)
        self._today = self._lines(programs.program)
        self._before = self._today if programs.recorded is None else self._lines(programs.recorded)

    @property
    def nodes(self) -> int:
        """How many nodes today's program has."""
        return len(self._today)

    def cause(self, node: str) -> Cause:
        """The chain behind a node in this episode."""
        recorded = None if self._programs.recorded is None else self._programs.recorded.value
        return self._computing.why(self._programs.program.value, recorded, self._ran, node)

    def value(self, key: str) -> Value | None:
        """What its context has for a key."""
        native = self._ran.context.values.get(key)
        return None if native is None else Value.of(native)

    def first_difference(self) -> str | None:
        """The maker of the first effect that is not the recorded one, else the node that fails on one side alone."""
        return self._first_other_effect() or self._only_failure()

    def _only_failure(self) -> str | None:
        was, now = (next((line for line in lines if line.has_failed), None) for lines in (self._before, self._today))
        if self._programs.recorded is None and self.found.record.termination is Outcome.COMPLETED:
            was = None
        one = now or was
        return None if one is None or (was and was.why) == (now and now.why) else one.path

    def _first_other_effect(self) -> str | None:
        """The maker of the first effect that one side alone has; where both have the same, of the first moved one."""
        recorded = [effect.text for effect in self.found.record.effects]
        today = [(line.path, effect) for line in self._today for effect in line.effects]
        effects = [effect for _, effect in today]
        alone = [
            *((index, self._maker_of(effect)) for index, effect in enumerate(recorded) if effect not in effects),
            *((index, path) for index, (path, effect) in enumerate(today) if effect not in recorded),
        ]
        moved = ((index, path) for index, (path, effect) in enumerate(today) if recorded[index : index + 1] != [effect])
        known = ((index, path) for index, path in (alone or moved) if path is not None)
        return min(known, key=lambda found: found[0], default=(0, None))[1]

    def _maker_of(self, effect: bytes) -> str | None:
        """The first node with an effect of the key or the kind of a recorded one."""
        names = set(_names(effect))
        makers = (line.path for line in (*self._today, *self._before) if names & _names_of(line))
        return next(makers, None)

    def node_of(self, path: str) -> str:
        """The maker of the effect that has this key or kind, else the node of this path. Raises UsageError."""
        lines = (*self._today, *self._before)
        makers = {name: line.path for line in reversed(lines) for name in _names_of(line)}
        nodes = {line.path: line.path for line in lines}
        found = {**nodes, **makers}
        if path not in found:
            message = f"event '{self.found.event.event_id}' has no node, key or kind of effect '{path}'"
            fix = did_you_mean(path, found) or f"name one of {', '.join([*makers, *nodes][:8])}"
            raise UsageError("cli.invalid_option_value", message, where="argument PATH", fix=fix)
        return found[path]

    def recorded_effects(self, node: str) -> tuple[bytes, ...]:
        """The recorded effects of a node: those of the capture's program, or those that share a name with today's."""
        recorded = [effect.text for effect in self.found.record.effects]
        if self._programs.recorded is not None:
            return tuple((Counter(_effects_of(self._before, node)) & Counter(recorded)).elements())
        names = {name for text in _effects_of(self._today, node) for name in _names(text)}
        return tuple(effect for effect in recorded if names & set(_names(effect)))

    def effects(self, node: str) -> tuple[bytes, ...]:
        """What a node does today."""
        return _effects_of(self._today, node)

    def last_writer(self, key: str) -> str | None:
        """The node whose write of a key is left behind the episode, today's before the capture's."""
        lines = (*reversed(self._today), *reversed(self._before))
        return next((line.path for line in lines if key in writes_of(line.effects)), None)

    def written(self, key: str) -> tuple[Value | None, Value | None]:
        """What the episode leaves behind for a key: as recorded, and today; None where it does not write it."""
        recorded = (effect.text for effect in self.found.record.effects)
        today = (effect for line in self._today for effect in line.effects)
        return writes_of(recorded).get(key), writes_of(today).get(key)

    def _lines(self, program: AnyProgram) -> Sequence[Line]:
        """The nodes; in an episode that failed none has effects."""
        lines = self._computing.trace(program.value, self._ran.event_id, self._ran.context)
        if any(line.has_failed for line in lines):
            return [replace(line, effects=()) for line in lines]
        return lines


def writes_of(effects: Iterable[bytes]) -> dict[str, Value]:
    """What effects leave behind for each key that they write; those that JSON cannot hold are empty."""
    decoded = (decode_effect(text) for text in effects if text)
    return {write.key: write.value for effect in decoded for write in effect.writes}


def _effects_of(lines: Sequence[Line], node: str) -> tuple[bytes, ...]:
    return next((line.effects for line in lines if line.path == node), ())


def _names_of(line: Line) -> set[str]:
    return {name for effect in line.effects for name in _names(effect)}


def _names(effect: bytes) -> Iterator[str]:
    """What an effect can be called: the keys that it writes, or else its kind; nothing where JSON cannot hold it."""
    if effect:
        decoded = decode_effect(effect)
        yield from [write.key for write in decoded.writes] or [decoded.kind]

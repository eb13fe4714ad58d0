"""Follow a chain on through memory: back to the earlier events whose effects wrote what a node reads (spec 70 §8).

A replay gives every event the memory that was recorded. So each earlier event is run on its recorded context, as a
replay runs it, and compared: the chain ends where today's program writes another value there, with what makes it so,
and else at a payload or at a value that nothing wrote.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.json import free_text
from ergo_cli.core.values import Value
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.kind import Computing
from ergo_cli.replay.earlier_writes import EarlierWrites
from ergo_cli.replay.explaining import Assigned, Decided
from ergo_cli.replay.traced_episodes import TracedEpisode, writes_of

MOST_STEPS = 100
"""How many steps of earlier events a chain has, and how many it goes back in all."""

_MOST_NODES = 50_000
"""How many nodes of earlier events are run at most; a chain of more of them names the next event, and ends."""


class Written(Struct, frozen=True):
    """The earlier event whose episode wrote a member of the context."""

    event_id: str
    seq: int


class _Scene(Struct, frozen=True):
    """An episode, and the chain behind a part of it: ``keys`` are those that the part writes, ``shape`` its form."""

    episode: TracedEpisode
    cause: Cause
    keys: frozenset[str]
    shape: object

    @classmethod
    def of(cls, episode: TracedEpisode, cause: Cause, keys: frozenset[str]) -> _Scene:
        """The scene of a chain that is not followed on yet."""
        return cls(episode, cause, keys, _shape(cause))


class MemoryChain:
    """Names and follows the memory behind one chain.

    ``memory`` says which event wrote the members of the context that the asked event reads, ``episodes`` which event
    each earlier episode of the chain is of.
    """

    def __init__(self, computing: Computing[object], programs: Assigned, writes: EarlierWrites) -> None:
        self._computing, self._programs, self._writes = computing, programs, writes
        self._followed: set[tuple[int, str]] = set()
        self._nodes_left, self._steps_left = _MOST_NODES, MOST_STEPS
        self.memory: dict[str, Written] = {}
        self.episodes: dict[int, Written] = {}

    def followed(self, episode: TracedEpisode, cause: Cause, effects: tuple[bytes, ...], *, is_same: bool) -> Cause:
        """The chain behind a node of an episode, followed on where ``is_same``: it did today what is recorded."""
        scene = _Scene.of(episode, cause, frozenset(writes_of(effects)))
        for key, writer in self._read(scene):
            self.memory[key] = Written(writer.event.event_id, writer.seq)
        return self._step(cause, scene, MOST_STEPS, is_same)

    def _step(self, cause: Cause, scene: _Scene, steps: int, is_way: bool) -> Cause:
        """A step with its sources; ``is_way``: nothing that is nearer to the asked value makes it differ."""
        if cause.key is not None:
            return self._member(cause, cause.key, scene, steps, is_way)
        on = is_way and not cause.differs and not cause.is_change
        on = on and not any(source.differs or source.is_change for source in cause.sources)
        sources = cause.sources if steps else ()
        return replace(cause, sources=tuple(self._step(source, scene, steps - 1, on) for source in sources))

    def _member(self, cause: Cause, key: str, scene: _Scene, steps: int, is_way: bool) -> Cause:
        """A member of the context; of one that an earlier event wrote, the event, and if it is the way, its write."""
        writer = self._writer(key, scene.episode)
        if writer is None:
            return replace(cause, is_unset=scene.episode.value(key) is None)
        named = self._named(cause, writer)
        if not is_way or not steps or cause.sources:
            return named
        if (writer.seq, key) in self._followed:
            return replace(named, is_repeated=True)
        found, alike = self._first_unlike(writer, key, scene)
        if found is None:
            return named
        self._steps_left -= _size(found.cause)
        write = self._step(found.cause, found, steps - 1, is_way=True)
        return replace(named, sources=(write,), alike=alike)

    def _first_unlike(self, writer: Decided, key: str, scene: _Scene) -> tuple[_Scene | None, int]:
        """The write to show next, and how many came between that only repeat what ``scene`` is."""
        alike, found = 0, self._scene_of(writer, key)
        while found is not None and key in scene.keys and found.shape == scene.shape and not found.cause.differs:
            earlier = self._writer(key, found.episode)
            if earlier is None or (earlier.seq, key) in self._followed:
                break
            before = self._scene_of(earlier, key)
            if before is None:
                break
            alike, found = alike + 1, before
        return found, alike

    def _scene_of(self, writer: Decided, key: str) -> _Scene | None:
        """The write of a key in an earlier episode; None where it is not known what made it, or enough was run."""
        if self._nodes_left <= 0 or self._steps_left <= 0:
            return None
        episode = TracedEpisode(self._computing, self._programs, writer)
        self._nodes_left -= episode.nodes
        node = episode.last_writer(key)
        if node is None:
            return None
        self._followed.add((writer.seq, key))
        self.episodes[writer.record.episode_id] = Written(writer.event.event_id, writer.seq)
        recorded, today = map(_text, episode.written(key))
        cause = episode.cause(node)
        write = replace(
            cause,
            role="written by",
            recorded=recorded,
            today=cause.today if today is None else today,
            episode=writer.record.episode_id,
            is_parting=recorded != today,
        )
        return _Scene.of(episode, write, frozenset(writes_of(episode.effects(node))))

    def _read(self, scene: _Scene) -> Iterator[tuple[str, Decided]]:
        """The members of the context that a chain reads, with the decisions that wrote them."""
        for key in dict.fromkeys(_keys(scene.cause)):
            writer = self._writer(key, scene.episode)
            if writer is not None:
                yield key, writer

    def _writer(self, key: str, episode: TracedEpisode) -> Decided | None:
        """The decision whose effect a member of the context is from; None of one that the payload brought itself."""
        writer = self._writes.last(key, episode.found.arrived)
        if writer is None:
            return None
        value = writes_of(effect.text for effect in writer.record.effects)[key]
        return writer if episode.value(key) == value else None

    def _named(self, cause: Cause, writer: Decided) -> Cause:
        self.episodes[writer.record.episode_id] = Written(writer.event.event_id, writer.seq)
        return replace(cause, written=writer.record.episode_id)


def _text(value: Value | None) -> str | None:
    return None if value is None else free_text(value.native).decode()


def _keys(cause: Cause) -> Iterator[str]:
    if cause.key is not None:
        yield cause.key
    for source in cause.sources:
        yield from _keys(source)


def _size(cause: Cause) -> int:
    return 1 + sum(map(_size, cause.sources))


def _shape(cause: Cause) -> object:
    """What two chains have in common that differ in their values only."""
    return cause.part, cause.made, cause.key, cause.rewired, cause.is_repeated, tuple(map(_input, cause.sources))


def _input(cause: Cause) -> object:
    return cause.role, _shape(cause)

"""The crash journal: every committed step on the disk before the next begins (spec 30 §21)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Self

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from ergo_cli.bundle.codec import encode_decision, encode_event
from ergo_cli.bundle.entries import JournalEntry, artifact_text
from ergo_cli.bundle.schema import DecisionRecord, EventRecord, Header, ProgramRecord, Version
from ergo_cli.bundle.sink import BundleSink
from ergo_cli.bundle.wire import WireConstraints
from ergo_cli.core.notices import Notice
from ergo_cli.errors import CaptureWriteError, ErgoError, reason
from ergo_cli.host.enrichment import SentIntent
from ergo_cli.host.episodes import EpisodeSink

FORMAT = "ergo.journal/1"
"""What the first line of a journal says it is."""

_encode = msgspec.json.Encoder().encode


class JournalHead(Struct, frozen=True, forbid_unknown_fields=True):
    """The first line: what is known of the run before its first event; ``egress_provenance`` is null where none is.

    Only stateful programs are named here.
    """

    journal: str
    graph_id: str
    config: WireConstraints
    adapter_provenance: str
    runtime_provenance: str
    egress_provenance: str | None
    program: ProgramRecord | UnsetType = UNSET


class JournalIntent(Struct, frozen=True, forbid_unknown_fields=True):
    """A line before each dispatch."""

    intent: SentIntent


class JournalStep(Struct, frozen=True, forbid_unknown_fields=True):
    """A line after each step: the event record as v4 has it, the decision with all that came of it.

    ``entry`` is what the episode of a stateful program recorded, with the artifacts that it names.
    """

    event: Raw
    decision: Raw
    entry: Raw | UnsetType = UNSET
    artifacts: Mapping[str, Raw] | UnsetType = UNSET


class Episode(Struct, frozen=True):
    """What one episode recorded, and the artifacts that this names."""

    entry: JournalEntry
    artifacts: Mapping[str, bytes]


class RunJournal:
    """One journal being written; each line is on the disk when its method returns.

    Leaving the context closes the file and keeps it: only ``discard`` removes it, once nothing can be lost any more.
    Raises ErgoError ``journal.exists`` for a file that is there already, else CaptureWriteError.
    """

    def __init__(
        self,
        path: Path,
        header: Header,
        egress_provenance: str | None = None,
        program: ProgramRecord | None = None,
    ) -> None:
        self._path = path
        try:
            self._file = path.open("xb")
        except FileExistsError as error:
            raise _taken(path) from error
        except (OSError, ValueError) as error:
            self._fail("CreateTempFile", "cannot create the journal", error)
        self._line(_encode(_head(header, egress_provenance, program)))
        self._sync_folder()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._file.close()

    def intent(self, sent: SentIntent) -> None:
        """Note an intent before it is sent."""
        self._line(_encode(JournalIntent(sent)))

    def step(self, event: EventRecord, decision: DecisionRecord, episode: Episode | None = None) -> None:
        """Note a committed step."""
        try:
            step = JournalStep(Raw(encode_event(event, Version.V4)), Raw(encode_decision(decision)))
        except ValueError as error:
            self._fail("Serialize", "a step cannot be serialized for the journal", error)
        self._line(_encode(step if episode is None else _with_episode(step, episode)))

    def discard(self) -> tuple[Notice, ...]:
        """Remove the file: nothing in it can be lost any more. That it could not be removed is only noted."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            message = f"the journal is no longer needed, but cannot be removed: {reason(error)}"
            return (Notice(message, str(self._path)),)
        return ()

    def _line(self, text: bytes) -> None:
        try:
            self._file.write(text + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            self._fail("SyncTempFile", "cannot write to the journal", error)

    def _sync_folder(self) -> None:
        """Make the file's name as lasting as its lines, where the system has a way to."""
        with suppress(OSError):
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _fail(self, stage: str, what: str, error: Exception) -> NoReturn:
        fix = "make room, or name another file with --journal"
        where = str(self._path)
        raise CaptureWriteError(stage, f"{what} '{where}': {reason(error)}", where=where, fix=fix) from error


class JournaledSink:
    """A bundle whose steps are in the journal before they are in it."""

    def __init__(self, sink: BundleSink, journal: RunJournal, episodes: EpisodeSink | None = None) -> None:
        self._sink = sink
        self._journal = journal
        self._episodes = episodes
        self._event: EventRecord | None = None
        self._episode: Episode | None = None

    def event(self, record: EventRecord) -> None:
        """Hold an event back until its decision is there: together they are a step."""
        self._event = record

    def episode(self, entry: JournalEntry, artifacts: Mapping[str, bytes]) -> None:
        """Hold back what an episode recorded: it is part of the step."""
        self._episode = Episode(entry, artifacts)

    def decision(self, record: DecisionRecord) -> None:
        """Note a step, then keep it."""
        episode, self._episode = self._episode, None
        if self._event is not None:
            self._journal.step(self._event, record, episode)
            self._sink.event(self._event)
        if episode is not None and self._episodes is not None:
            self._episodes.episode(episode.entry, episode.artifacts)
        self._sink.decision(record)


def _with_episode(step: JournalStep, episode: Episode) -> JournalStep:
    artifacts = {name: Raw(artifact_text(data)) for name, data in episode.artifacts.items()}
    return replace(step, entry=Raw(episode.entry.encode()), artifacts=artifacts)


def _head(header: Header, egress_provenance: str | None, program: ProgramRecord | None) -> JournalHead:
    return JournalHead(
        FORMAT,
        header.graph_id,
        WireConstraints.of(header.constraints),
        header.adapter_provenance,
        header.runtime_provenance,
        egress_provenance,
        UNSET if program is None else program,
    )


def _taken(path: Path) -> ErgoError:
    message = f"the journal '{path}' exists already"
    fix = "recover what it holds with ergo recover, remove it, or name another file"
    return ErgoError("journal.exists", message, where=str(path), fix=fix)

"""Write the crash journal: every committed step is on disk before the next begins (spec 30 §21)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn, Protocol, Self

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ergo_cli.bundle.encoding import encode_decision, encode_event
from ergo_cli.bundle.record_forms import WireConstraints
from ergo_cli.bundle.schema import (
    BundleSink,
    DecisionRecord,
    EventRecord,
    Header,
    JournalEntry,
    ProgramRecord,
    Version,
    artifact_text,
)
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.json import record_opening
from ergo_cli.errors import CaptureWriteError, ErgoError, reason
from ergo_cli.host.effects import SentIntent
from ergo_cli.signals import signals_held
from ergo_cli.stores.durable import close_quietly, sync_folder
from ergo_cli.stores.private import opened_privately
from ergo_cli.stores.remedies import remedy

FORMAT = "ergo.journal/2"
"""The format name in the first line of a journal."""

_encode = msgspec.json.Encoder().encode


class JournalHead(Struct, frozen=True, forbid_unknown_fields=True):
    """The first line: what is known before the first event; ``egress_provenance`` is null without egress.

    The program is recorded where the run's bundle is v4: one that acts, or one with its texts (``--embed``).
    """

    journal: str
    graph_id: str
    config: WireConstraints
    adapter_provenance: str
    runtime_provenance: str
    egress_provenance: str | None
    program: ProgramRecord | UnsetType = UNSET


class JournalIntent(Struct, frozen=True, forbid_unknown_fields=True):
    """The line written before each dispatch."""

    intent: SentIntent


class JournalStep(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The line written after each step: the event record in its v4 form, the decision with its results.

    ``entries`` are the journal entries of the episode of a stateful program, with the artifacts that they name.
    """

    event: Raw
    decision: Raw
    entries: tuple[Raw, ...] = ()
    artifacts: Mapping[str, Raw] = {}


class Closing(Struct, frozen=True, forbid_unknown_fields=True):
    """The entries recorded by closing the program, with the artifacts that they name."""

    entries: tuple[Raw, ...]
    artifacts: Mapping[str, Raw] = {}


class JournalClosing(Struct, frozen=True, forbid_unknown_fields=True):
    """The last line, written if closing the program recorded something."""

    closing: Closing


_HEAD = record_opening(JournalHead) + b':"ergo.journal/'
_HEAD_LIMIT = 256 * 1024 * 1024
_INTENT = record_opening(JournalIntent)


class Entries(Struct, frozen=True):
    """The entries of one episode, or of closing the program, with the artifacts that they name."""

    entries: Sequence[JournalEntry]
    artifacts: Mapping[str, bytes]


class CrashJournal:
    """One journal being written; each line is on disk when its method returns.

    Leaving the context closes the file, and keeps it if it holds more than its first line; ``discard`` removes it. The
    journal of an earlier run that committed no step is replaced; ``notices`` say so where it named an intent. A file
    that has taken the journal's name meanwhile stays.
    Raises ErgoError ``journal.exists`` for any other file that already exists, else CaptureWriteError.
    """

    def __init__(
        self,
        path: Path,
        header: Header,
        egress_provenance: str | None = None,
        program: ProgramRecord | None = None,
    ) -> None:
        self._path = path
        self.notices: tuple[Notice, ...] = ()
        self._holds_only_head = True
        self._identity: tuple[int, int] | None = None
        try:
            self._open()
            self._write(_encode(_head(header, egress_provenance, program)))
            self._sync_folder()
        except BaseException:
            if self._identity is not None:
                self._remove()
                close_quietly(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._holds_only_head:
            self._remove()  # while it is open, since a closed file's identity may be given to another
        close_quietly(self._file)

    def intent(self, sent: SentIntent) -> None:
        """Write an intent before it is sent."""
        self._line(_encode(JournalIntent(sent)))

    def step(self, event: EventRecord, decision: DecisionRecord, episode: Entries | None = None) -> None:
        """Write a committed step."""
        try:
            step = JournalStep(Raw(encode_event(event, Version.V4)), Raw(encode_decision(decision)), *_encoded(episode))
        except ValueError as error:
            message = f"a step cannot be serialized for the journal '{self._path}': {error}"
            fix = "leave out what JSON cannot hold"
            raise CaptureWriteError("Serialize", message, where=str(self._path), fix=fix) from error
        self._line(_encode(step))

    def closed(self, closing: Entries) -> None:
        """Write the entries recorded by closing the program."""
        self._line(_encode(JournalClosing(Closing(*_encoded(closing)))))

    def discard(self) -> tuple[Notice, ...]:
        """Remove the file once the bundle holds its contents; a failure to remove it becomes a notice."""
        error = self._remove()
        if error is None:
            return ()
        message = f"the journal is no longer needed, but cannot be removed: {reason(error)}"
        return (Notice(message, str(self._path)),)

    def _open(self) -> None:
        try:
            with signals_held():
                self._file = self._opened()
                self._identity = _identity(os.fstat(self._file.fileno()))
        except (OSError, ValueError) as error:
            self._fail("CreateTempFile", "cannot create the journal", error)

    def _remove(self) -> OSError | None:
        """Remove the file, unless another one has taken its name; the error if it cannot be removed."""
        try:
            if _identity(os.stat(self._path, follow_symlinks=False)) == self._identity:
                os.unlink(self._path)
        except FileNotFoundError:
            return None
        except OSError as error:
            return error
        return None

    def _opened(self) -> BinaryIO:
        """A new file, or that of an earlier run, emptied: no other process can take it over meanwhile."""
        try:
            file = open(self._path, "xb", opener=opened_privately)  # noqa: SIM115 - closed on exit
        except FileExistsError as error:
            return self._taken_over(error)
        if _lock(file) is False:
            close_quietly(file)
            raise _taken(self._path)
        return file

    def _taken_over(self, error: FileExistsError) -> BinaryIO:
        if self._path.is_symlink() or not self._path.is_file():
            raise _taken(self._path) from error
        file = self._path.open("r+b")
        try:
            is_ours = _lock(file) and os.fstat(file.fileno()).st_nlink
            if not is_ours or (intents := _intents_without_step(file)) is None:
                raise _taken(self._path) from error
            file.seek(0)
            file.truncate()
        except BaseException:
            close_quietly(file)
            raise
        if intents:
            message = (
                f"an earlier run left no committed step in the journal, which was replaced; whether {intents} of its "
                "intents were delivered is unknown"
            )
            self.notices = (Notice(message, str(self._path)),)
        return file

    def _line(self, text: bytes) -> None:
        self._holds_only_head = False
        self._write(text)

    def _write(self, text: bytes) -> None:
        try:
            self._file.write(text + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            self._fail("SyncTempFile", "cannot write to the journal", error)

    def _sync_folder(self) -> None:
        try:
            sync_folder(self._path.parent)
        except OSError as error:
            self._fail("SyncTempFile", "cannot sync the folder of the journal", error)

    def _fail(self, stage: str, what: str, error: Exception) -> NoReturn:
        where = str(self._path)
        fix = remedy(error, "name another file with --journal")
        raise CaptureWriteError(stage, f"{what} '{where}': {reason(error)}", where=where, fix=fix) from error


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _lock(file: BinaryIO) -> bool | None:
    """Keep the journal to this process while it is open; False if another one has it, None where there are no locks."""
    if sys.platform == "win32":
        return None
    import fcntl  # there is none on Windows

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _intents_without_step(file: BinaryIO) -> int | None:
    """How many intents a journal without a committed step names; None for any other file, which is not ours to take.

    A last line without its end was being written when the run broke off: it is no record.
    """
    head = file.readline(_HEAD_LIMIT)
    if not (head.startswith(_HEAD) or _HEAD.startswith(head)):
        return None
    intents = 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        if not line.startswith(_INTENT):
            return None
        intents += 1
    return intents


class EpisodeSink(Protocol):
    """Takes journal entries; those of an episode arrive between its event and its decision."""

    def episode(self, entries: Sequence[JournalEntry], artifacts: Mapping[str, bytes]) -> None:
        """Keep the entries of one episode, or of closing the program, with the artifacts that they name."""
        ...


class JournaledSink:
    """A bundle sink that writes each step to the crash journal before passing it on."""

    def __init__(self, sink: BundleSink, journal: CrashJournal, episodes: EpisodeSink | None = None) -> None:
        self._sink = sink
        self._journal = journal
        self._episodes = episodes
        self._event: EventRecord | None = None
        self._episode: Entries | None = None

    def event(self, record: EventRecord) -> None:
        """Hold an event until its decision arrives: together they are one step."""
        self._event = record

    def episode(self, entries: Sequence[JournalEntry], artifacts: Mapping[str, bytes]) -> None:
        """Hold the entries of an episode, which belong to its step; pass on those of closing the program."""
        recorded = Entries(entries, artifacts)
        if all(entry.episode_id is not None for entry in entries):
            self._episode = recorded
            return
        self._journal.closed(recorded)
        if self._episodes is not None:
            self._episodes.episode(entries, artifacts)

    def decision(self, record: DecisionRecord) -> None:
        """Write the step to the journal, then pass it on."""
        episode, self._episode = self._episode, None
        if self._event is not None:
            self._journal.step(self._event, record, episode)
            self._sink.event(self._event)
        if episode is not None and self._episodes is not None:
            self._episodes.episode(episode.entries, episode.artifacts)
        self._sink.decision(record)


def _encoded(recorded: Entries | None) -> tuple[tuple[Raw, ...], dict[str, Raw]]:
    if recorded is None:
        return (), {}
    artifacts = {name: Raw(artifact_text(data)) for name, data in recorded.artifacts.items()}
    return tuple(Raw(entry.encode()) for entry in recorded.entries), artifacts


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

"""Recover a bundle from a crash journal, as its run would have written it (spec 30 §21)."""

from __future__ import annotations

import re
from array import array
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct

from ergo_cli.bundle.checking import check_bundle
from ergo_cli.bundle.decoding import decode_decision, decode_event
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import (
    DecisionRecord,
    EventRecord,
    Header,
    RecordFault,
    Version,
    WireEntry,
    artifact_bytes,
    entry_digest,
    payload_hash,
)
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.json import record_opening
from ergo_cli.core.values import effect_hash
from ergo_cli.errors import BundleError, CaptureWriteError, ErgoError, EventError, ProgramError, StoreError, reason
from ergo_cli.host.crash_journal import FORMAT, JournalClosing, JournalHead, JournalIntent, JournalStep
from ergo_cli.host.effects import SentIntent
from ergo_cli.host.files_read import Read, refuse_bundle_over, refuse_remote_journal
from ergo_cli.host.outputs import beside_notices
from ergo_cli.programs.kinds import TEXTUAL, check_kind
from ergo_cli.stores.artifacts import verified
from ergo_cli.stores.durable import only_read
from ergo_cli.stores.remedies import temporary_remedy
from ergo_cli.stores.temporaries import unnamed_file
from ergo_cli.supervisor.seam import Constraints

LINE_LIMIT = 256 * 1024 * 1024
"""The most bytes that a line of a journal may have."""

_INTENT_LINE, _CLOSING_LINE = record_opening(JournalIntent), record_opening(JournalClosing)

_RESTORE = "restore the file; what stands before this line can be recovered from a copy that ends there"

_UNCHANGED = "recover from the journal as the run left it: this one was changed"
_RECORD = re.compile(r"\b(events|decisions|journals)\[(\d+)\]")

_T = TypeVar("_T")


class Recovered(Struct, frozen=True):
    """The result of a recovery; whether the ``unconfirmed`` intents were delivered is unknown.

    ``kind`` is that of the program, ``notices`` say where the bundle went if not where it was to go.
    """

    bundle: str
    kind: str
    header: Header
    steps: int
    unconfirmed: tuple[SentIntent, ...]
    notices: tuple[Notice, ...] = ()


def recover(journal: Path, destination: str) -> Recovered:
    """Write the bundle of every step in a journal, as its run would have written it; the journal is unchanged.

    The bundle is v3 if the journal names no program, else v4. Where something is at ``destination``, it goes beside it
    (``AtomicFile.commit``), since the run may not have come to its end. An incomplete last line is skipped: the crash
    happened while it was written. Raises UsageError ``cli.conflicting_options`` for a bundle in the journal's place,
    ErgoError ``journal.read_failed`` (no readable file), ``journal.corrupt`` (any other bad line), ProgramError
    ``program.unknown_kind``, EventError ``driver.output_incomplete`` (no step), CaptureWriteError. A bundle that
    ``validate`` would refuse is not written: ``journal.corrupt``.
    """
    refuse_remote_journal(journal)
    refuse_bundle_over(destination, [Read(journal, "the journal")])
    with _open(journal) as file:
        lines = _Lines(file, str(journal))
        head = lines.head()
        header = Header(head.graph_id, _constraints(lines, head), head.runtime_provenance, head.adapter_provenance)
        program = None if head.program is UNSET else head.program
        with (
            _copy(destination) as copy,
            BundleWriter(destination, header, program=program, copy=copy.write) as writer,
        ):
            for event, decision in lines.steps():
                writer.event(event)
                for entry in lines.take_entries():
                    writer.journal(entry)
                writer.decision(decision)
            for entry in lines.take_entries():
                writer.journal(entry)
            if not lines.committed:
                raise _without_steps(str(journal))
            bundle = writer.commit(
                head.egress_provenance, lines.artifacts, is_partial=True, check=lambda: lines.check(copy)
            )
    notices = beside_notices(destination, bundle)
    kind = TEXTUAL if program is None else program.kind
    return Recovered(bundle, kind, header, lines.committed, tuple(lines.unconfirmed), notices)


class _Lines:
    """Reads the lines of a journal in order; counts steps and tracks intents whose step is missing.

    ``artifacts`` are those of the steps read so far, in the form of a bundle.
    """

    def __init__(self, file: BinaryIO, label: str) -> None:
        self._file = file
        self._label = label
        self._number = 0
        self.committed = 0
        self.unconfirmed: list[SentIntent] = []
        self.artifacts: dict[str, bytes] = {}
        self._entries: list[bytes] = []
        self._keeps_entries = False
        steps, entries = array("Q"), array("Q")
        self._lines_of = {"events": steps, "decisions": steps, "journals": entries}

    def head(self) -> JournalHead:
        line = next(self._whole_lines(), None)
        if line is None:
            raise _without_steps(self._label)
        head = self._decoded(line, JournalHead)
        if head.journal != FORMAT:
            why = f"'{head.journal}' is not a journal that this version reads, which is '{FORMAT}'"
            raise self.corrupt(why, "recover it with the version of ergo that wrote it")
        if head.program is not UNSET:
            check_kind(head.program.kind, f"{self._label}:1:1 program.kind")
            self._keeps_entries = True
        return head

    def steps(self) -> Iterator[tuple[EventRecord, DecisionRecord]]:
        lines = self._whole_lines()
        for line in lines:
            if line.startswith(_INTENT_LINE):
                self.unconfirmed.append(self._decoded(line, JournalIntent).intent)
            elif line.startswith(_CLOSING_LINE):
                closing = self._decoded(line, JournalClosing).closing
                self._keep(closing.entries, closing.artifacts, None, "closing the program")
                if next(lines, None) is not None:
                    raise self.corrupt("it follows the line that closed the program")
            else:
                yield self._step(self._decoded(line, JournalStep))

    def take_entries(self) -> list[bytes]:
        """The entries recorded since the last call: those of a step's episode, or of closing the program."""
        entries, self._entries = self._entries, []
        return entries

    def check(self, bundle: BinaryIO) -> None:
        """Check the bundle of these lines as ``validate`` does. Raises ErgoError ``journal.corrupt`` for a fault."""
        try:
            fault = next(check_bundle(BundleReader(self._label, bundle)), None)
        except (BundleError, ProgramError) as error:
            fault = error
        if fault is not None:
            message = f"the journal cannot become a bundle: {fault.message}"
            where = self._place(fault.where or self._label)
            raise ErgoError("journal.corrupt", message, where=where, fix=_UNCHANGED, causes=(fault,))

    def _place(self, where: str) -> str:
        """The line of the journal that a place in its bundle comes from."""
        record = _RECORD.search(where.removeprefix(self._label))
        if record is None:
            return where
        numbers = self._lines_of[record[1]]
        index = int(record[2])
        return f"{self._label}:{numbers[index]}:1" if index < len(numbers) else where

    def corrupt(self, why: str, fix: str = _RESTORE) -> ErgoError:
        where = f"{self._label}:{self._number}:1"
        message = f"line {self._number} of the journal is not what a run writes: {why}"
        return ErgoError("journal.corrupt", message, where=where, fix=fix)

    def _whole_lines(self) -> Iterator[bytes]:
        while True:
            try:
                line = self._file.readline(LINE_LIMIT)
            except OSError as error:
                raise _unreadable(self._label, error) from error
            self._number += 1
            if len(line) == LINE_LIMIT:
                raise self.corrupt(f"it is longer than {LINE_LIMIT // 2**20} MiB")
            if not line.endswith(b"\n"):
                return
            yield line

    def _decoded(self, line: bytes, form: type[_T]) -> _T:
        try:
            return msgspec.json.decode(line, type=form)
        except (ValueError, RecursionError) as error:
            raise self.corrupt(str(error)) from error

    def _step(self, step: JournalStep) -> tuple[EventRecord, DecisionRecord]:
        try:
            event = decode_event(bytes(step.event), Version.V4)
            decision = decode_decision(bytes(step.decision), Version.V4)
        except RecordFault as fault:
            raise self.corrupt(str(fault)) from fault
        self._check_records(event, decision)
        self._keep(step.entries, step.artifacts, decision.episode_id, f"event '{decision.event_id}'")
        self.unconfirmed = [sent for sent in self.unconfirmed if sent.event_id != event.event_id]
        self.committed += 1
        self._lines_of["events"].append(self._number)
        return event, decision

    def _check_records(self, event: EventRecord, decision: DecisionRecord) -> None:
        if decision.event_id != event.event_id:
            raise self.corrupt(f"the decision is that of event '{decision.event_id}', not of '{event.event_id}'")
        if payload_hash(event.payload) != event.payload_hash:
            raise self.corrupt(f"the payload of event '{event.event_id}' does not match its hash")
        for effect in decision.effects:
            if effect_hash(effect.text) != effect.effect_hash:
                raise self.corrupt(f"an effect of event '{event.event_id}' does not match its hash")

    def _keep(self, entries: Sequence[Raw], artifacts: Mapping[str, Raw], episode_id: int | None, whose: str) -> None:
        if not self._keeps_entries and (entries or artifacts):
            raise self.corrupt(f"it holds records of {whose}, but the first line names no program")
        try:
            for text in map(bytes, entries):
                entry = msgspec.json.decode(text, type=WireEntry)
                if entry.sha256 != entry_digest(map(bytes, entry.records)) or entry.episode_id != episode_id:
                    raise ValueError("its digest or its episode is another")
                self._entries.append(text)
                self._lines_of["journals"].append(self._number)
            self.artifacts.update({name: _checked(name, bytes(text)) for name, text in artifacts.items()})
        except (ValueError, StoreError) as error:
            raise self.corrupt(f"the records of {whose} are not what was recorded: {error}") from error


def _checked(name: str, artifact: bytes) -> bytes:
    verified(name, artifact_bytes(artifact))
    return artifact


@contextmanager
def _copy(destination: str) -> Generator[BinaryIO]:
    """An unnamed file for the text of the bundle, which is checked before it is at its destination."""
    try:
        with only_read(unnamed_file()) as copy:
            yield copy
    except OSError as error:
        message = f"cannot write '{destination}': cannot use a temporary file to check it: {reason(error)}"
        raise CaptureWriteError("WriteTempFile", message, where=destination, fix=temporary_remedy(error)) from error


@contextmanager
def _open(journal: Path) -> Generator[BinaryIO]:
    try:
        file = journal.open("rb")
    except (OSError, ValueError) as error:
        raise _unreadable(str(journal), error) from error
    with only_read(file):
        yield file


def _constraints(lines: _Lines, head: JournalHead) -> Constraints:
    try:
        return head.config.constraints
    except ValueError as error:
        raise lines.corrupt(str(error)) from error


def _unreadable(label: str, error: Exception) -> ErgoError:
    message = f"the journal '{label}' cannot be read: {reason(error)}"
    fix = "name the file that the run was given with --journal; a run that ends in order removes it"
    return ErgoError("journal.read_failed", message, where=label, fix=fix)


def _without_steps(label: str) -> EventError:
    message = f"the journal '{label}' holds no committed step: there is nothing to recover"
    return EventError("driver.output_incomplete", message, where=label, fix="run the events again")

"""Open a run directory: check it, find out how its run ended, read its journals (spec 60 §20.2, §20.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.core.diagnostics import counted
from ergo_cli.core.json import JsonError, decode
from ergo_cli.core.wire import WireError
from ergo_cli.errors import StoreError
from ergo_cli.programs.pipeline.build import SYSTEM, data_label, error_label
from ergo_cli.programs.pipeline.chain_events import ChainEvent, Data, read_chain_event
from ergo_cli.programs.pipeline.effects import EFFECT_EVENTS, EffectRecord, effect_of
from ergo_cli.programs.pipeline.errors import ArchiveError
from ergo_cli.programs.pipeline.ids import FlowId, IdError, StageId
from ergo_cli.programs.pipeline.line_files import ByteFile, LineFiles
from ergo_cli.programs.pipeline.line_frames import LineFormat
from ergo_cli.programs.pipeline.records import Envelope, EventReader, EventT, read_record
from ergo_cli.programs.pipeline.run_manifest import (
    MANIFEST_FILE,
    OBZENFLOW_VERSION,
    ORIGINAL_VERSION,
    VERSION,
    RunManifest,
)
from ergo_cli.programs.pipeline.system_events import (
    ArchiveStatus,
    PipelineCancelled,
    PipelineCompleted,
    PipelineFailed,
    PipelineLifecycle,
    StatusDerivation,
    SystemEvent,
    read_system_event,
)
from ergo_cli.programs.pipeline.topology import Role, StageType
from ergo_cli.stores.folders import AnyPath, OutsideFolder, is_folder, plain_file

_UNKNOWN = ArchiveStatus.UNKNOWN
_TRIPLE = re.compile(r"v?([0-9]{1,20})\.([0-9]{1,20})\.([0-9]{1,20})(?:[-+].*)?")


class Archive(Struct, frozen=True):
    """A run directory. ``ended`` says how its run ended, and how that was found.

    ``journals`` has those of its journals that are there as runs ``<flow id>/<label>``, as a store has them.
    """

    path: str
    manifest: RunManifest
    ended: StatusDerivation
    allow_incomplete: bool
    journals: LineFiles
    files: dict[str, str]
    """The names of the journals' files by their labels; those that are not there are left out."""

    def run(self, label: str) -> str:
        """The run of a journal."""
        return f"{self.manifest.flow_id}/{label}"

    def source(self, name: str, requested: StageType) -> ArchivedSource:
        """What a source recorded, for a stage of the same name and of a requested type.

        Raises ArchiveError ``pipeline.stage_not_in_manifest``, ``pipeline.stage_type_mismatch`` and
        ``pipeline.missing_journal``.
        """
        stage = self.manifest.stages.get(name)
        where = f"stage '{name}'"
        if stage is None:
            message = f"the archive '{self.path}' has no stage '{name}'"
            raise ArchiveError("pipeline.stage_not_in_manifest", message, where=where)
        for kind, whose in ((stage.stage_type, "archived"), (requested, "requested")):
            if kind.role is not Role.PRODUCER:
                message = f"the {whose} stage '{name}' is no source, but of type {kind.value}"
                raise ArchiveError("pipeline.stage_type_mismatch", message, where=where)
        self._check_file(data_label(name), stage.data_journal_file)
        return ArchivedSource(self.events(data_label(name)))

    def effects(self, name: str) -> Iterator[EffectRecord]:
        """The records of the effects of a stage. Raises ArchiveError."""
        label = data_label(name)
        self._check_file(label, self.manifest.stages[name].data_journal_file)
        for number, event in enumerate(self.events(label), 1):
            try:
                record = effect_of(event)
            except WireError as error:
                raise self._corrupted(label, number, str(error)) from error
            if record is not None:
                yield record

    def events(self, label: str) -> Iterator[ChainEvent]:
        """The events of a stage's journal. Raises ArchiveError ``pipeline.missing_journal`` and
        ``pipeline.corrupted_archive``.

        The journal of a run that has ended must end with a whole record.
        """
        if label not in self.files:
            message = f"the archive '{self.path}' has no journal '{label}'"
            known = ", ".join(sorted(self.files.keys() - {SYSTEM}))
            raise ArchiveError("pipeline.missing_journal", message, where=self.path, fix=f"name one of {known}")
        try:
            for record in _records(self, label, read_chain_event, is_whole=self.ended.chosen is not _UNKNOWN):
                yield record.event
        except _Damage as damage:
            raise self._corrupted(label, damage.number, str(damage)) from damage

    def _check_file(self, label: str, name: str) -> None:
        if label not in self.files:
            message = f"the archive '{self.path}' has no file '{name}', the journal {label}"
            raise ArchiveError("pipeline.missing_journal", message, where=f"{self.path}/{name}")

    def _corrupted(self, label: str, number: int, why: str) -> ArchiveError:
        path = f"{self.path}/{self.files[label]}"
        message = f"record {number} of '{path}' is damaged: {why}"
        return ArchiveError("pipeline.corrupted_archive", message, where=f"{path} record {number}")


class ArchivedSource:
    """What a source recorded that is admitted again: data and watermarks, in the order of its journal.

    ``replayed`` and ``skipped`` count the events so far.
    """

    def __init__(self, events: Iterator[ChainEvent]) -> None:
        self._events = events
        self.replayed = 0
        self.skipped = 0

    def next(self) -> ChainEvent | None:
        """The next event to be admitted; None at the end. Raises ArchiveError ``pipeline.corrupted_archive``."""
        for event in self._events:
            if is_admitted_again(event):
                self.replayed += 1
                return event
            self.skipped += 1
        return None


def is_admitted_again(event: ChainEvent) -> bool:
    """Whether a replay admits an event: data and watermarks, but no records of effects."""
    return event.is_replayable and not (isinstance(event.content, Data) and event.content.event_type in EFFECT_EVENTS)


def open_archive(path: AnyPath, *, allow_incomplete: bool = False) -> Archive:
    """Open a run directory. ``allow_incomplete`` opens one whose run did not complete, or whose end is not known.

    Raises ArchiveError, in this order: ``pipeline.archive_not_directory``, ``pipeline.missing_manifest``,
    ``pipeline.parse``, ``pipeline.unsupported_manifest_version``, ``pipeline.version_mismatch``,
    ``pipeline.journal_format``, ``pipeline.file_outside_archive``, ``pipeline.missing_system_log``, ``pipeline.parse``
    for a system journal that cannot be read, ``pipeline.incomplete_archive``; and StoreError.
    """
    place = str(path)
    if not is_folder(path):
        raise ArchiveError("pipeline.archive_not_directory", f"'{place}' is not a folder", where=place)
    manifest = _read_manifest(place)
    found = {label: (name, _file(place, name)) for label, name in _journal_files(manifest).items()}
    there = {label: (name, file) for label, (name, file) in found.items() if file is not None}
    journals = LineFiles(
        {f"{manifest.flow_id}/{label}": file for label, (_, file) in there.items()},
        LineFormat(manifest.journal_format_version or LineFormat.RECORDS),
    )
    archive = Archive(
        place,
        manifest,
        StatusDerivation(0, _UNKNOWN),
        allow_incomplete,
        journals,
        {label: name for label, (name, _) in there.items()},
    )
    return replace(archive, ended=_ended(archive))


def _read_manifest(place: str) -> RunManifest:
    where = f"{place}/{MANIFEST_FILE}"
    file = _file(place, MANIFEST_FILE)
    if file is None:
        raise ArchiveError("pipeline.missing_manifest", f"'{place}' has no {MANIFEST_FILE}", where=where)
    try:
        value = decode(file.read(0, file.size()))
    except JsonError as error:
        raise _unreadable(where, f"it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise _unreadable(where, "it is not an object")
    members = cast("dict[str, object]", value)
    version = members.get("manifest_version")
    if not (isinstance(version, str) and version in (ORIGINAL_VERSION, VERSION)):
        message = f"the manifest of '{place}' is of version {version!r}, not of '{ORIGINAL_VERSION}' or '{VERSION}'"
        raise ArchiveError("pipeline.unsupported_manifest_version", message, where=where)
    try:
        manifest: RunManifest = wire.read(members, RunManifest)
        FlowId.parse(manifest.flow_id)
        for stage in manifest.stages.values():
            StageId.parse(stage.stage_id)
    except (WireError, IdError) as error:
        raise _unreadable(where, str(error)) from error
    if _is_newer(manifest.obzenflow_version):
        message = f"'{place}' was written by version {manifest.obzenflow_version}, this one reads {OBZENFLOW_VERSION}"
        raise ArchiveError("pipeline.version_mismatch", message, where=where)
    if manifest.journal_format_version not in (None, *LineFormat):
        message = f"the journals of '{place}' are of format {manifest.journal_format_version}, not 1 or 2"
        fix = "read it with the program that wrote it"
        raise ArchiveError("pipeline.journal_format", message, where=where, fix=fix)
    return manifest


def _journal_files(manifest: RunManifest) -> dict[str, str]:
    """The names of the journals' files by their labels."""
    files = {SYSTEM: manifest.system_journal_file}
    for name, stage in manifest.stages.items():
        files[data_label(name)] = stage.data_journal_file
        files[error_label(name)] = stage.error_journal_file
    return files


def _file(place: str, name: str) -> ByteFile | None:
    try:
        return plain_file(place, name)
    except OutsideFolder as error:
        message = f"the file '{name}' of the archive '{place}' is not read: {error}"
        raise ArchiveError("pipeline.file_outside_archive", message, where=f"{place}/{name}") from error


def _ended(archive: Archive) -> StatusDerivation:
    """How the run ended: by its last terminal fact. Raises ArchiveError."""
    try:
        ended = _by_terminal_facts(archive)
    except ArchiveError as error:
        if not archive.allow_incomplete:
            raise
        ended = StatusDerivation(0, _UNKNOWN, error.message)
    if ended.chosen is not ArchiveStatus.COMPLETED and not archive.allow_incomplete:
        message = f"the run of the archive '{archive.path}' did not complete, its status is {ended.chosen.value}"
        raise ArchiveError("pipeline.incomplete_archive", message, where=archive.path)
    return ended


def _by_terminal_facts(archive: Archive) -> StatusDerivation:
    where = f"{archive.path}/{archive.manifest.system_journal_file}"
    if SYSTEM not in archive.files:
        message = f"the system journal '{archive.manifest.system_journal_file}' is missing"
        raise ArchiveError("pipeline.missing_system_log", message, where=where)
    try:
        facts = _records(archive, SYSTEM, read_system_event, is_whole=True)
        found = [status for record in facts if (status := _status_after(record.event)) is not None]
    except _Damage as damage:
        raise _unreadable(where, f"record {damage.number} is damaged: {damage}") from damage
    warning = f"{len(found)} terminal events were found, the last one counts" if len(found) > 1 else None
    return StatusDerivation(len(found), found[-1] if found else _UNKNOWN, warning)


class _Damage(Exception):
    """A record, by its number, cannot be read."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


def _records(
    archive: Archive, label: str, read_event: EventReader[EventT], *, is_whole: bool
) -> Iterator[Envelope[EventT]]:
    """The records of a journal, those of unknown events left out; ``is_whole``: it ends with a whole record.

    Raises _Damage, and StoreError for a file that cannot be read.
    """
    run, read = archive.run(label), 0
    try:
        for read, text in archive.journals.scan(run):
            record = _read(read, text, read_event)
            if record is not None:
                yield record
    except StoreError as error:
        if error.code != "store.corrupt":
            raise
        raise _Damage(read + 1, error.message) from error
    if archive.journals.head(run) > read:
        raise _Damage(read + 1, "there are more records than can be read")
    torn = archive.journals.torn_bytes(run)
    if torn and is_whole:
        raise _Damage(read + 1, f"only {counted(torn, 'byte')} of it are there")


def _read(number: int, text: str, read_event: EventReader[EventT]) -> Envelope[EventT] | None:
    try:
        return read_record(text, read_event)
    except (JsonError, WireError) as error:
        raise _Damage(number, str(error)) from error


def _status_after(event: SystemEvent) -> ArchiveStatus | None:
    """How a run has ended, by a fact of its system journal; None for any other fact."""
    match event.event:
        case PipelineLifecycle(fact=PipelineCompleted()):
            return ArchiveStatus.COMPLETED
        case PipelineLifecycle(fact=PipelineFailed()):
            return ArchiveStatus.FAILED
        case PipelineLifecycle(fact=PipelineCancelled()):
            return ArchiveStatus.CANCELLED
        case _:
            return None


def _is_newer(version: str) -> bool:
    """Whether a version is newer than the last one that is read; one that is no version is not."""
    return _numbers(version) > _numbers(OBZENFLOW_VERSION)


def _numbers(version: str) -> tuple[int, ...]:
    found = _TRIPLE.fullmatch(version)
    return () if found is None else tuple(map(int, found.groups()))


def _unreadable(where: str, why: str) -> ArchiveError:
    return ArchiveError("pipeline.parse", f"'{where}' cannot be read: {why}", where=where)

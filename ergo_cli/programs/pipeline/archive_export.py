"""Write a flow as a run directory, which the original's tools know the form of (spec 60 §5.4, §20.1)."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from ergo_cli.core.json import JsonError
from ergo_cli.core.wire import Timestamp, WireError
from ergo_cli.programs.pipeline.build import SYSTEM, data_label, error_label
from ergo_cli.programs.pipeline.errors import JournalError
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.line_frames import LineFormat, is_of_group, lines
from ergo_cli.programs.pipeline.records import Envelope, read_record
from ergo_cli.programs.pipeline.run_manifest import (
    ARCHIVES,
    MANIFEST_FILE,
    OBZENFLOW_VERSION,
    SYSTEM_JOURNAL_FILE,
    ManifestReplay,
    ManifestStage,
    RunManifest,
    data_journal_file,
    error_journal_file,
)
from ergo_cli.programs.pipeline.system_events import (
    ReplayLifecycle,
    ReplayStarted,
    SystemEvent,
    read_system_event,
)
from ergo_cli.stores.folders import AnyPath, new_folder
from ergo_cli.stores.journals import EventJournal, place

_EPOCH = Timestamp(0)


class ExportedArchive(Struct, frozen=True):
    """A run directory that was written: its path, and how many files and records are in it."""

    path: str
    files: int
    records: int


def export_archive(store: EventJournal, manifest: FlowManifest, base: AnyPath) -> ExportedArchive:
    """Write the journals of a flow, runs ``<flow id>/<label>`` of a store, into ``base/flows/<flow id>/``.

    What is appended meanwhile is left out. Raises JournalError ``pipeline.journal_corrupt``, StoreError, and as
    ``new_folder``.
    """
    journals = _Journals(store, manifest)
    written = _run_manifest(manifest, journals)
    form = LineFormat(written.journal_format_version or LineFormat.RECORDS)
    with new_folder(base, ARCHIVES, manifest.flow_id) as folder:
        for name, stage in written.stages.items():
            folder.write(stage.data_journal_file, journals.lines(data_label(name), form))
            folder.write(stage.error_journal_file, journals.lines(error_label(name), form))
        folder.write(SYSTEM_JOURNAL_FILE, journals.lines(SYSTEM, form))
        folder.write(MANIFEST_FILE, [written.text()])
    return ExportedArchive(str(folder.target), 2 * len(written.stages) + 2, sum(journals.heads.values()))


class _Journals:
    """The journals of a flow as far as they go now.

    Their heads are taken from the end of the flow to its beginning: what caused a record is then there too.
    """

    def __init__(self, store: EventJournal, manifest: FlowManifest) -> None:
        self._store = store
        self._flow = manifest.flow_id
        backwards = [label(name) for name in reversed(manifest.order) for label in (error_label, data_label)]
        self.heads = {label: store.head(f"{self._flow}/{label}") for label in (SYSTEM, *backwards)}

    def texts(self, label: str) -> Iterator[tuple[int, str]]:
        """Numbers and texts of a journal."""
        return self._store.scan(f"{self._flow}/{label}", 1, self.heads[label])

    def lines(self, label: str, form: LineFormat) -> Iterator[bytes]:
        """The lines of a journal. Raises JournalError."""
        try:
            yield from lines((text for _, text in self.texts(label)), form)
        except ValueError as error:
            run = f"{self._flow}/{label}"
            message = f"a record of journal '{run}' is damaged: {error}"
            raise JournalError("pipeline.journal_corrupt", message, where=f"run '{run}'") from error

    def form(self) -> LineFormat:
        """The format of all of them: the second where any records form a group."""
        texts = (text for label in self.heads for _, text in self.texts(label))
        return LineFormat.FRAMES if any(map(is_of_group, texts)) else LineFormat.RECORDS

    def facts(self) -> Iterator[Envelope[SystemEvent]]:
        """The facts of the flow. Raises JournalError."""
        for seq, text in self.texts(SYSTEM):
            try:
                record = read_record(text, read_system_event)
            except (JsonError, WireError) as error:
                run = f"{self._flow}/{SYSTEM}"
                message = f"record {seq} of journal '{run}' is damaged: {error}"
                raise JournalError("pipeline.journal_corrupt", message, where=place(run, seq)) from error
            if record is not None:
                yield record


def _run_manifest(manifest: FlowManifest, journals: _Journals) -> RunManifest:
    """The manifest of the directory: it was made when the flow stated its first fact."""
    created_at, replay = _EPOCH, None
    for number, record in enumerate(journals.facts()):
        if number == 0:
            created_at = record.timestamp
        if isinstance(record.event.event, ReplayLifecycle) and isinstance(record.event.event.fact, ReplayStarted):
            started = record.event.event.fact
            replay = ManifestReplay(started.archive_path, started.allow_incomplete)
    return RunManifest(
        manifest_version=manifest.manifest_version,
        obzenflow_version=OBZENFLOW_VERSION,
        flow_id=manifest.flow_id,
        flow_name=manifest.flow_name,
        created_at=created_at,
        stages={
            name: ManifestStage(
                dsl_var=name,
                stage_type=stage.stage_type,
                stage_id=stage.stage_id,
                data_journal_file=data_journal_file(stage.stage_type, name, stage.stage_id),
                error_journal_file=error_journal_file(stage.stage_type, name, stage.stage_id),
                stage_logic_version=stage.stage_logic_version,
                inbound=stage.inbound,
                ordered_delivery=stage.ordered_delivery,
            )
            for name, stage in manifest.stages.items()
        },
        system_journal_file=SYSTEM_JOURNAL_FILE,
        replay=replay,
        journal_format_version=journals.form(),
    )

"""Write a flow as a run directory, the form of the original's archives (spec 60 §5.4, §20.1)."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from ergo_cli.core.wire import Timestamp
from ergo_cli.programs.pipeline.build import SYSTEM, data_label, error_label
from ergo_cli.programs.pipeline.errors import JournalError
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.flow_records import StoredFlow
from ergo_cli.programs.pipeline.ids import IdError, StageId
from ergo_cli.programs.pipeline.journal import store_errors
from ergo_cli.programs.pipeline.line_frames import LineFormat, is_of_group, lines
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
from ergo_cli.programs.pipeline.stored_flows import MANIFEST, journal_run
from ergo_cli.programs.pipeline.system_events import ReplayLifecycle, ReplayStarted, SystemEvent
from ergo_cli.programs.runs import ExportedRun
from ergo_cli.stores.folders import AnyPath, new_folder
from ergo_cli.stores.journals import EventJournal, place

FORM = "obzenflow"
"""The name of the form."""

_EPOCH = Timestamp(0)


def export_archive(store: EventJournal, flow_id: str, base: AnyPath) -> ExportedRun:
    """Write a flow of a store into ``base/flows/<flow id>/``; what is appended meanwhile is left out.

    Raises JournalError, and as ``new_folder``.
    """
    flow = StoredFlow(store, flow_id, ())
    manifest = flow.manifest
    _check_ids(manifest)
    journals = _Journals(store, manifest)
    form = journals.form()
    written = _run_manifest(flow, manifest, form)
    with new_folder(base, ARCHIVES, flow_id) as folder:
        for name, stage in written.stages.items():
            folder.write(stage.data_journal_file, journals.lines(data_label(name), form))
            folder.write(stage.error_journal_file, journals.lines(error_label(name), form))
        folder.write(SYSTEM_JOURNAL_FILE, journals.lines(SYSTEM, form))
        folder.write(MANIFEST_FILE, [written.text()])
    files, records = 2 * len(written.stages) + 2, sum(journals.heads.values())
    return ExportedRun(flow_id, FORM, str(folder.target), files, records)


def _check_ids(manifest: FlowManifest) -> None:
    """Raise JournalError for an id that cannot stand in the name of a file."""
    try:
        for stage in manifest.stages.values():
            StageId.parse(stage.stage_id)
    except IdError as error:
        message = f"the manifest of flow '{manifest.flow_id}' is damaged: {error}"
        where = place(journal_run(manifest.flow_id, MANIFEST), 1)
        raise JournalError("pipeline.journal_corrupt", message, where=where) from error


class _Journals:
    """The journals of a flow as far as they go now.

    Their heads are taken from the end of the flow to its beginning: what caused a record is then there too.
    """

    def __init__(self, store: EventJournal, manifest: FlowManifest) -> None:
        self._store = store
        self._flow_id = manifest.flow_id
        backwards = [label(name) for name in reversed(manifest.order) for label in (error_label, data_label)]
        with store_errors():
            self.heads = {label: store.head(journal_run(self._flow_id, label)) for label in (SYSTEM, *backwards)}

    def form(self) -> LineFormat:
        """The format of all of them: the second where any records form a group."""
        return LineFormat.FRAMES if any(map(self._has_groups, self.heads)) else LineFormat.RECORDS

    def lines(self, label: str, form: LineFormat) -> Iterator[bytes]:
        """The lines of a journal. Raises JournalError."""
        with self._damage(label):
            yield from lines(self._texts(label), form)

    def _has_groups(self, label: str) -> bool:
        with self._damage(label):
            return any(map(is_of_group, self._texts(label)))

    def _texts(self, label: str) -> Iterator[str]:
        run = journal_run(self._flow_id, label)
        with store_errors(run):
            for _, text in self._store.scan(run, 1, self.heads[label]):
                yield text

    @contextmanager
    def _damage(self, label: str) -> Generator[None]:
        """Raise as JournalError that a text has no line."""
        try:
            yield
        except ValueError as error:
            run = journal_run(self._flow_id, label)
            message = f"a record of journal '{run}' is damaged: {error}"
            raise JournalError("pipeline.journal_corrupt", message, where=f"run '{run}'") from error


def _run_manifest(flow: StoredFlow, manifest: FlowManifest, form: LineFormat) -> RunManifest:
    """The manifest of the directory: it was made when the flow stated its first fact."""
    created_at, replay = _EPOCH, None
    for number, each in enumerate(flow.records(SYSTEM)):
        envelope = each.record.envelope
        created_at = created_at if number else envelope.timestamp
        replay = _replayed(envelope.event) or replay
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
        journal_format_version=form,
    )


def _replayed(event: SystemEvent) -> ManifestReplay | None:
    """The archive that a flow says it replays; None for another fact."""
    match event.event:
        case ReplayLifecycle(fact=ReplayStarted(archive_path=path, allow_incomplete=allowed)):
            return ManifestReplay(path, allowed)
        case _:
            return None

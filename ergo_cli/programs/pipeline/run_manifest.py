"""The manifest of a run directory, and the names of its files (spec 60 §5.4, §20.1)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ergo_cli.core.wire import Timestamp
from ergo_cli.programs.pipeline.ids import FlowId
from ergo_cli.programs.pipeline.topology import Stage, StageType

ORIGINAL_VERSION = "1.0"
"""The version of manifests that the original writes."""

VERSION = "ergo-pipeline/1"
"""The version of manifests that are written here."""

MANIFEST_FILE = "run_manifest.json"
SYSTEM_JOURNAL_FILE = "system.log"


class ManifestStage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stage in a manifest: its id in display form, the names of its journals' files."""

    dsl_var: str
    stage_type: StageType
    stage_id: str
    data_journal_file: str
    error_journal_file: str
    stage_logic_version: str | None = None
    inbound: tuple[str, ...] | None = None
    ordered_delivery: bool | None = None


class ManifestReplay(Struct, frozen=True):
    """The archive that a run replayed."""

    replay_from: str
    allow_incomplete_archive: bool


class RunManifest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run directory says about its run; stages by their names."""

    manifest_version: str
    obzenflow_version: str
    flow_id: str
    flow_name: str
    created_at: Timestamp
    stages: Mapping[str, ManifestStage]
    system_journal_file: str
    replay: ManifestReplay | None = None
    journal_format_version: int | None = None


def run_directory(flow: FlowId) -> str:
    """The path of a run directory below the folder of archives."""
    return f"flows/{flow.display}"


def data_journal_file(stage: Stage) -> str:
    """The name of the file of a stage's data journal."""
    return f"{stage.type.value}_{stage.name}_{stage.id.display}.log"


def error_journal_file(stage: Stage) -> str:
    """The name of the file of a stage's error journal."""
    return f"{stage.type.value}_{stage.name}_error_{stage.id.display}.log"

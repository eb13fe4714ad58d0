"""The manifest of a run directory, and the names of its files (spec 60 §5.4, §20.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.core.wire import Timestamp
from ergo_cli.programs.pipeline.topology import StageType

ORIGINAL_VERSION = "1.0"
"""The version of manifests that the original writes."""

VERSION = "ergo-pipeline/1"
"""The version of manifests that are written here."""

OBZENFLOW_VERSION = "0.2.0"
"""The version of the original whose records are written, and the last one whose records are read."""

ARCHIVES = "flows"
"""The folder that run directories are in; each is named by the id of its flow."""

MANIFEST_FILE = "run_manifest.json"
SYSTEM_JOURNAL_FILE = "system.log"

_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f"%*/:<>?\\|]')
_LONGEST = 180  # bytes: of 255 that a file name may have, type, id and the rest take 58


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

    def text(self) -> bytes:
        """The text of the file, stages ascending."""
        return (
            msgspec.json.format(wire.encode(replace(self, stages=dict(sorted(self.stages.items())))), indent=2) + b"\n"
        )


def data_journal_file(stage_type: StageType, name: str, stage_id: str) -> str:
    """The name of the file of a stage's data journal; the id in its display form."""
    return f"{stage_type.value}_{_file_name(name)}_{stage_id}.log"


def error_journal_file(stage_type: StageType, name: str, stage_id: str) -> str:
    """The name of the file of a stage's error journal; the id in its display form."""
    return f"{stage_type.value}_{_file_name(name)}_error_{stage_id}.log"


def _file_name(stage: str) -> str:
    """A stage's name as a part of a file's: what file systems refuse is percent-encoded, what is too long is cut."""
    encoded = _UNSAFE.sub(lambda found: quote(found[0], safe=""), stage)
    return encoded.encode()[:_LONGEST].decode(errors="ignore")

"""Run directories of flows that ran in an event loop whose time is made up, and ways to damage them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline_loops import ended, launched

from ergo_cli.programs.pipeline import FlowHandle, PipelineProgram, launch
from ergo_cli.programs.pipeline.archive import Archive
from ergo_cli.programs.pipeline.archive_export import export_archive
from ergo_cli.programs.pipeline.asyncio_driver.feeds import Feed
from ergo_cli.programs.pipeline.ids import CountedIds
from ergo_cli.programs.pipeline.line_frames import framed, texts_in, unframed
from ergo_cli.programs.pipeline.stored_flows import MANIFEST as MANIFEST_LABEL
from ergo_cli.programs.pipeline.stored_flows import label_of
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.testing.virtual_time import run_in_virtual_time

MANIFEST = "run_manifest.json"
FLOW = "flow_1ZE1STVZH6JR1MTYKEYHVHPR1C"
"""The first flow of a program named ``orders``."""


def keep(program: PipelineProgram, feeds: Mapping[str, Feed], store: EventJournal) -> None:
    """Run a flow to its end, whatever it is, in a store."""

    async def main() -> None:
        await ended(await launched(program, feeds, store=store))

    run_in_virtual_time(main())


def kept(program: PipelineProgram, feeds: Mapping[str, Feed]) -> MemoryJournal:
    """The store of a flow that ran to its end, whatever it was."""
    store = MemoryJournal()
    keep(program, feeds, store)
    return store


def exported(program: PipelineProgram, feeds: Mapping[str, Feed], base: Path) -> Path:
    """The run directory of a flow that ran to its end."""
    return Path(export_archive(kept(program, feeds), FLOW, base).path)


def replayed(program: PipelineProgram, archive: Archive, **options: Any) -> FlowHandle:
    """The flow that has replayed an archive, under ids of its own, at another time."""

    async def main() -> FlowHandle:
        handle = await launch(program, archive, ids=CountedIds("again"), wall_ms=lambda: 86_400_000, **options)
        await ended(handle)
        return handle

    return run_in_virtual_time(main())


def texts(store: EventJournal) -> dict[str, list[str]]:
    """All records of the journals of a store, by run."""
    return {run: [text for _, text in store.scan(run)] for run in store.runs() if label_of(run) != MANIFEST_LABEL}


def edit_manifest(folder: Path, edit: Callable[[Any], object]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    edit(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def data_file(folder: Path, stage: str) -> Path:
    return folder / json.loads((folder / MANIFEST).read_text())["stages"][stage]["data_journal_file"]


def edit_records(file: Path, form: Any, edit: Callable[[list[Any]], list[Any]]) -> None:
    """Write a file of lines anew, its records changed."""
    lines = file.read_bytes().splitlines()
    records = [json.loads(text) for line in lines for text in texts_in(unframed(line), form)]
    file.write_bytes(b"".join(framed(json.dumps(each).encode()) for each in edit(records)))

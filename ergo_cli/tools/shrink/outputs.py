"""Where a shrunk stream goes: checked before the search begins, written whole after it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.host.files_read import Read, refuse_replacing
from ergo_cli.project.finding import FoundProgram
from ergo_cli.stores.files import compressor_for
from ergo_cli.stores.standard_output import open_output


def check_output(destination: str, reads: Sequence[Read]) -> None:
    """Find what stands in the way of a file before anything is tried.

    Raises UsageError ``cli.conflicting_options`` where it would replace one of ``reads``, CaptureWriteError where it
    cannot be written.
    """
    refuse_replacing(destination, reads)
    with open_output(destination):
        pass


def check_bundle_outputs(path: str, found: FoundProgram, output: str, test: Path | None) -> None:
    """Check where the shrunk bundle and its test go, beside what the search reads. Raises as ``check_output``."""
    reads = [Read(path, "the bundle that is shrunk")]
    reads += [Read(file, "a file of the program") for file in found.all_files]
    check_output(output, reads)
    if test is not None:
        check_output(str(test), [*reads, Read(output, "the shrunk bundle")])


def write_bundle(destination: str, bundle: CaptureBundle) -> None:
    """Write a bundle, compressed by the suffix. Raises CaptureWriteError."""
    with BundleWriter(destination, bundle.header, program=bundle.program) as writer:
        for event in bundle.events:
            writer.event(event)
        for decision in bundle.decisions:
            writer.decision(decision)
        for journal in bundle.journals:
            writer.journal(journal)
        writer.commit(bundle.egress_provenance, bundle.artifacts)


def write_text(destination: str, text: bytes) -> None:
    """Write a text, compressed by the suffix. Raises CaptureWriteError."""
    compressor = compressor_for(destination)
    with open_output(destination) as file:
        file.write(text if compressor is None else compressor.compress(text) + compressor.flush())
        file.commit()

"""Bundles from memory into files."""

from __future__ import annotations

from pathlib import Path

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.errors import CaptureWriteError
from ergo_cli.library.errors import CaptureError


def write_capture_bundle(path: str | Path, bundle: CaptureBundle, *, pretty: bool = False) -> None:
    """Write a bundle as a run would have, whole or not at all; a name in ``.gz`` or ``.zst`` compresses.

    Raises CaptureError ``write``, which carries the bundle.
    """
    try:
        with BundleWriter(str(path), bundle.header, pretty=pretty, program=bundle.program) as writer:
            for event in bundle.events:
                writer.event(event)
            for decision in bundle.decisions:
                writer.decision(decision)
            for journal in bundle.journals:
                writer.journal(journal)
            writer.commit(bundle.egress_provenance, bundle.artifacts)
    except CaptureWriteError as error:
        raise CaptureError(error, "write", bundle) from error

"""The artifacts of a v4 bundle, each checked against its id (spec 00 §13.4)."""

from __future__ import annotations

import msgspec

from ergo_cli.bundle.entries import artifact_bytes, artifact_text
from ergo_cli.bundle.faults import journal_invalid
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.errors import BundleError
from ergo_cli.stores.artifacts import artifact_id


def read_artifacts(reader: BundleReader) -> dict[str, bytes]:
    """The bytes of all artifacts by their ids.

    Raises BundleError ``bundle.journal_invalid`` for one that is not in its form, or whose bytes have another hash.
    """
    return {name: _checked(reader, name, text) for name, text in reader.artifacts.items()}


def artifact_invalid(reader: BundleReader, name: str, why: str) -> BundleError:
    """The error for the artifact of this id."""
    return journal_invalid(reader.path, f"artifact '{name}' {why}", f'{reader.path} artifacts."{name}"')


def _checked(reader: BundleReader, name: str, text: bytes) -> bytes:
    try:
        content = artifact_bytes(text)
    except (ValueError, msgspec.MsgspecError) as error:
        raise artifact_invalid(reader, name, f"cannot be read: {error}") from error
    if artifact_id(content) != name:
        raise artifact_invalid(reader, name, f"holds bytes whose hash is '{artifact_id(content)}'")
    if artifact_text(content) != text:
        raise artifact_invalid(reader, name, "is not written as a capture writes it")
    return content

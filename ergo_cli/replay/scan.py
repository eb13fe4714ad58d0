"""The first walk through a bundle: everything that must hold before anything is replayed (spec 11 §10–11)."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from msgspec import Struct

from ergo_cli.bundle.faults import parse_failed
from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import BundleReader, open_bundle
from ergo_cli.bundle.schema import payload_hash
from ergo_cli.core.digest_set import DigestSet
from ergo_cli.errors import BundleError, ErgoError, ReplayError


class Scan(Struct, frozen=True):
    """A bundle that could be read to its end, and what the walk found.

    ``bad_hash`` and ``duplicate`` name the first event whose payload hash is wrong, or whose id came before.
    """

    reader: BundleReader
    events: int
    decisions: int
    effect_kinds: frozenset[str]
    bad_hash: str | None
    duplicate: str | None


def scan_bundle(path: str) -> Scan:
    """Read a bundle once from end to end, holding no record.

    Raises ReplayError ``replay.host_setup_failed`` (cause: ``bundle.read_failed`` or ``bundle.parse_failed``) and
    BundleError ``bundle.digest_mismatch``.
    """
    return _scanned(lambda: open_bundle(path))


def scan_value(bundle: CaptureBundle, label: str) -> Scan:
    """As ``scan_bundle`` for a bundle in memory, which errors call ``label``.

    Raises ReplayError ``replay.host_setup_failed``.
    """

    def opened() -> BundleReader:
        try:
            return BundleReader(label, BytesIO(bundle.encode()))
        except ValueError as error:
            raise parse_failed(label, str(error), label) from error

    return _scanned(opened)


def _scanned(opened: Callable[[], BundleReader]) -> Scan:
    try:
        return _walk(opened())
    except BundleError as error:
        if error.code not in ("bundle.read_failed", "bundle.parse_failed"):
            raise
        raise replay_setup_failed(error) from error


def _walk(reader: BundleReader) -> Scan:
    bad_hash = duplicate = None
    ids, events = DigestSet(), 0
    for record in reader.events():
        events += 1
        if bad_hash is None and payload_hash(record.payload) != record.payload_hash:
            bad_hash = record.event_id
        if not ids.add(record.event_id) and duplicate is None:
            duplicate = record.event_id
    decisions, kinds = 0, set[str]()
    for record in reader.decisions():
        decisions += 1
        kinds.update(item.effect.kind for item in record.effects)
    return Scan(reader, events, decisions, frozenset(kinds), bad_hash, duplicate)


def replay_setup_failed(cause: ErgoError) -> ReplayError:
    """The error of a replay that could not be set up, for the reason given."""
    return ReplayError(
        "replay.host_setup_failed",
        f"the bundle cannot be replayed: {cause.message}",
        rule=cause.rule,
        where=cause.where or "replay setup",
        fix=cause.fix,
        details=(f"{cause.code}: {cause.message}",),
        causes=(cause,),
    )

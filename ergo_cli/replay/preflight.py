"""Check a bundle and a program before they are compared (spec 11 §10–11)."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from msgspec import Struct

from ergo_cli.bundle.checking import check_form
from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import BundleReader, open_bundle
from ergo_cli.bundle.schema import NO_ADAPTER, parse_failed, payload_hash
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.digest_set import DigestSet
from ergo_cli.errors import AdapterError, BundleError, ErgoError, ProgramError, ReplayError
from ergo_cli.events.adapter import Adapter, adapter_provenance
from ergo_cli.host.effects import HANDLER_KINDS, replay_owned_kinds
from ergo_cli.programs.program import AnyProgram
from ergo_cli.replay.results import Target

_PROGRAM_CHANGED = "replay.runtime_provenance_mismatch"
_ADAPTER_CHANGED = "replay.adapter_provenance_mismatch"
PROGRAM_CHANGES = frozenset({_PROGRAM_CHANGED, _ADAPTER_CHANGED})
"""The codes of strict refusals of a changed program or adapter."""

_VERSIONS = ("v3", "v4")


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

    Raises ReplayError ``replay.host_setup_failed``, ``replay.unsupported_capture_version``.
    """
    check_version(bundle.capture_version)

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


def check_comparable(scan: Scan, journals: BundleJournals, target: Target, *, strict: bool) -> list[Notice]:
    """Raise the first reason why a bundle cannot be compared with a program; returns what is allowed but differs.

    Order: graph id (strict), adapter fits program, external kinds (strict), version, payload hashes, journals; then,
    strict, duplicate ids, adapter provenance, runtime provenance, the form of the text. The journals of a program that
    acts are only checked before one of these is raised: ``Comparison`` reads and checks them.
    """
    reader, program, adapter = scan.reader, target.program, target.adapter
    if strict:
        check_graph_id(reader.graph_id, program.graph_id)
    check_fit(program, adapter)
    if strict:
        _check_external_kinds(scan, program, adapter)
    check_version(reader.capture_version)
    if scan.bad_hash is not None:
        raise hash_mismatch(scan.bad_hash)
    if program.kind.acting is None:
        journals.check()
    if not strict:
        return _allowed_differences(scan, program, adapter)
    try:
        _check_strictly(scan, program, adapter)
    except ErgoError:
        journals.check()
        raise
    return []


def _check_strictly(scan: Scan, program: AnyProgram, adapter: Adapter | None) -> None:
    _check_unique_ids(scan.duplicate)
    _check_adapter_provenance(scan.reader.adapter_provenance, adapter_provenance(adapter))
    check_runtime_provenance(scan.reader.runtime_provenance, program.provenance)
    fault = next(check_form(scan.reader), None)
    if fault is not None:
        raise fault


def check_kind(reader: BundleReader, program: AnyProgram, *, strict: bool = False) -> None:
    """Raise ProgramError ``program.wrong_kind`` for a program of another kind than the one that was captured.

    If ``strict``, ReplayError ``replay.graph_id_mismatch`` or ``replay.runtime_provenance_mismatch`` goes first.
    """
    if reader.kind_name == program.kind.name:
        return
    if strict:
        check_graph_id(reader.graph_id, program.graph_id)
        check_runtime_provenance(reader.runtime_provenance, program.provenance)
    message = (
        f"'{reader.path}' is of a {reader.kind_name} program, '{program.graph_id}' is a {program.kind.name} program"
    )
    fix = "name the program of the capture: a graph with --graph FILE, others with --program MODULE:ATTRIBUTE"
    raise ProgramError("program.wrong_kind", message, where=reader.path, fix=fix)


def check_fit(program: AnyProgram, adapter: Adapter | None) -> None:
    """Raise ``replay.host_setup_failed`` (cause: ``adapter.setup_failed``) where the adapter does not fit."""
    computing = program.kind.computing
    if adapter is None or computing is None:
        return
    try:
        computing.fits(program.value, adapter)
    except AdapterError as error:
        raise replay_setup_failed(error) from error


def check_version(version: str, where: str = "capture_version") -> None:
    """Raise ``replay.unsupported_capture_version`` unless the version is one that ergo writes."""
    if version not in _VERSIONS:
        raise ReplayError(
            "replay.unsupported_capture_version",
            f"capture version '{version}' is not supported",
            where=where,
            fix="read it with a version of ergo that knows it; this one knows v3 and v4",
        )


def hash_mismatch(event_id: str) -> ReplayError:
    """The error for a payload that is not the one that was hashed."""
    return ReplayError(
        "replay.hash_mismatch",
        f"the payload of event '{event_id}' is not the one that was captured: its hash differs",
        where=f"event '{event_id}'",
        fix="restore the bundle from where it was captured; its bytes were changed",
    )


def _allowed_differences(scan: Scan, program: AnyProgram, adapter: Adapter | None) -> list[Notice]:
    """What a replay that is not strict announces and goes on with."""
    notices: list[Notice] = []
    if scan.reader.graph_id != program.graph_id:
        notices.append(
            Notice(f"the bundle is of the program '{scan.reader.graph_id}', today's is '{program.graph_id}'")
        )
    recorded, current = scan.reader.adapter_provenance, adapter_provenance(adapter)
    if recorded != current:
        message = f"the adapter changed: recorded '{recorded}', current '{current}'"
        notices.append(Notice(message, is_of_changes=True))
    if scan.reader.runtime_provenance != program.provenance:
        sides = f"recorded '{scan.reader.runtime_provenance}', current '{program.provenance}'"
        notices.append(Notice(f"the program changed: {sides}", is_of_changes=True))
    return notices


def check_graph_id(recorded: str, current: str) -> None:
    """Raise ``replay.graph_id_mismatch`` unless the program is the one that was captured."""
    if recorded != current:
        raise ReplayError(
            "replay.graph_id_mismatch",
            f"the bundle was captured from the program '{recorded}', but this is the program '{current}'",
            where=f"bundle '{recorded}' vs program '{current}'",
            fix="give the program that the bundle was captured from",
            details=_sides(recorded, current),
        )


def _check_external_kinds(scan: Scan, program: AnyProgram, adapter: Adapter | None) -> None:
    computing = program.kind.computing
    if computing is None:  # effects of a program that acts are recorded, never realised
        return
    owned = HANDLER_KINDS | replay_owned_kinds(computing.emits(program.value), adapter)
    missing = sorted(scan.effect_kinds - owned)
    if missing:
        raise ReplayError(
            "replay.external_effect_kind_unrepresentable",
            f"the bundle holds effects that this program cannot have made: {', '.join(missing)}",
            where="effects of the bundle",
            fix="give the program and the adapter of the capture; the adapter must accept these kinds",
            details=(f"missing kinds: {', '.join(missing)}",),
        )


def _check_unique_ids(duplicate: str | None) -> None:
    """Raise ``replay.duplicate_event_id`` where an event id was found twice."""
    if duplicate is not None:
        raise ReplayError(
            "replay.duplicate_event_id",
            f"event id '{duplicate}' occurs twice in the bundle",
            where=f"capture event '{duplicate}'",
            fix="restore the bundle from where it was captured; no run records an id twice",
        )


def _check_adapter_provenance(recorded: str, current: str) -> None:
    """Raise unless the adapter of the capture is the one given now; ``none`` stands for no adapter (spec 11 §11.3)."""
    if recorded == current:
        return
    if recorded == NO_ADAPTER:
        raise ReplayError(
            "replay.unexpected_adapter",
            f"the bundle was captured without adapter, but '{current}' is given",
            where="option '--adapter'",
            fix="leave the adapter out",
        )
    if current == NO_ADAPTER:
        raise ReplayError(
            "replay.adapter_required",
            f"the bundle was captured with '{recorded}', but no adapter is given",
            where="option '--adapter'",
            fix="give the adapter of the capture with --adapter",
        )
    raise ReplayError(
        _ADAPTER_CHANGED,
        f"a strict replay refuses a changed adapter: recorded '{recorded}', current '{current}'",
        where="adapter_provenance of the bundle",
        fix=f"give the adapter of the capture, {_OR_ACCEPT}",
        details=_sides(recorded, current),
    )


_OR_ACCEPT = "or review and accept the change with ergo accept; without --strict it is allowed"


def check_runtime_provenance(recorded: str, current: str) -> None:
    """Raise ``replay.runtime_provenance_mismatch`` unless the program is the one of the capture."""
    if recorded != current:
        raise ReplayError(
            _PROGRAM_CHANGED,
            f"a strict replay refuses a changed program: recorded '{recorded}', current '{current}'",
            where="runtime_provenance of the bundle",
            fix=f"give the program of the capture, {_OR_ACCEPT}",
            details=_sides(recorded, current),
        )


def _sides(recorded: str, current: str) -> tuple[str, str]:
    """The details of a refusal: what the bundle holds is expected."""
    return f"expected: '{recorded}'", f"got: '{current}'"

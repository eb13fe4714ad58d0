"""What must hold of a bundle and a program before they are compared, in the order of spec 11 §10–11."""

from __future__ import annotations

from typing import Protocol

from ergo_cli.bundle.journals import check_no_journals
from ergo_cli.bundle.schema import NO_ADAPTER
from ergo_cli.core.notices import Notice
from ergo_cli.errors import AdapterError, ReplayError
from ergo_cli.events.adapter import Adapter, adapter_provenance
from ergo_cli.host.ownership import HANDLER_KINDS, replay_owned_kinds
from ergo_cli.host.preparation import check_composition
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.replay.scan import Scan, replay_setup_failed

_VERSIONS = ("v3", "v4")


class Identified(Protocol):
    """What is known of a program of any kind before it runs."""

    @property
    def graph_id(self) -> str:
        """The id of its graph."""
        ...

    @property
    def provenance(self) -> str:
        """Its fingerprint."""
        ...


def check_strict(scan: Scan, program: GraphProgram, adapter: Adapter | None) -> None:
    """Raise the first reason why bundle and program cannot be compared strictly.

    Order: graph id, adapter fits graph, external kinds, version, payload hashes, duplicate ids, adapter provenance,
    runtime provenance.
    """
    check_graph_id(scan.reader.graph_id, program.graph_id)
    check_fit(program, adapter)
    _check_external_kinds(scan, program, adapter)
    check_integrity(scan)
    check_unique_ids(scan.duplicate)
    check_adapter_provenance(scan.reader.adapter_provenance, adapter_provenance(adapter))
    check_runtime_provenance(scan.reader.runtime_provenance, program.provenance)


def check_fit(program: GraphProgram, adapter: Adapter | None) -> None:
    """Raise ``replay.host_setup_failed`` (cause: ``adapter.setup_failed``) where the adapter does not fit the graph."""
    if adapter is None:
        return
    try:
        check_composition(program, adapter)
    except AdapterError as error:
        raise replay_setup_failed(error) from error


def check_integrity(scan: Scan) -> None:
    """Raise for a version that is not known, then for the first payload that its hash does not fit.

    Then BundleError ``bundle.journal_invalid`` for journals in the bundle of a graph, which records none.
    """
    check_version(scan.reader.capture_version)
    if scan.bad_hash is not None:
        raise hash_mismatch(scan.bad_hash)
    if scan.reader.program is None or scan.reader.program.kind == "graph":
        check_no_journals(scan.reader)


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


def allowed_differences(scan: Scan, program: Identified, adapter: Adapter | None) -> list[Notice]:
    """What a replay that is not strict announces and goes on with."""
    notices: list[Notice] = []
    if scan.reader.graph_id != program.graph_id:
        notices.append(Notice(f"the bundle is of graph '{scan.reader.graph_id}', today's is '{program.graph_id}'"))
    recorded, current = scan.reader.adapter_provenance, adapter_provenance(adapter)
    if recorded != current:
        notices.append(Notice(f"the adapter changed: recorded '{recorded}', current '{current}'"))
    if scan.reader.runtime_provenance != program.provenance:
        sides = f"recorded '{scan.reader.runtime_provenance}', current '{program.provenance}'"
        notices.append(Notice(f"the program changed: {sides}"))
    return notices


def check_graph_id(recorded: str, current: str) -> None:
    """Raise ``replay.graph_id_mismatch`` unless the program is of the graph that was captured."""
    if recorded != current:
        raise ReplayError(
            "replay.graph_id_mismatch",
            f"the bundle was captured from graph '{recorded}', the program is graph '{current}'",
            where=f"bundle '{recorded}' vs graph '{current}'",
            fix="give the graph that the bundle was captured from",
            details=(f"expected: '{current}'", f"got: '{recorded}'"),
        )


def _check_external_kinds(scan: Scan, program: GraphProgram, adapter: Adapter | None) -> None:
    missing = sorted(scan.effect_kinds - HANDLER_KINDS - replay_owned_kinds(program, adapter))
    if missing:
        raise ReplayError(
            "replay.external_effect_kind_unrepresentable",
            f"the bundle holds effects that this program cannot have made: {', '.join(missing)}",
            where="ownership preflight",
            fix="give the graph and the adapter of the capture; the adapter must accept these kinds",
            details=(f"missing kinds: {', '.join(missing)}",),
        )


def check_unique_ids(duplicate: str | None) -> None:
    """Raise ``replay.duplicate_event_id`` where an event id was found twice."""
    if duplicate is not None:
        raise ReplayError(
            "replay.duplicate_event_id",
            f"event id '{duplicate}' occurs twice in the bundle",
            where=f"capture event '{duplicate}'",
            fix="restore the bundle from where it was captured; no run records an id twice",
        )


def check_adapter_provenance(recorded: str, current: str) -> None:
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
        "replay.adapter_provenance_mismatch",
        f"the adapter changed since the capture: recorded '{recorded}', current '{current}'",
        where="capture adapter provenance vs replay adapter",
        fix="give the adapter of the capture, or capture again; without --strict the change is allowed",
        details=(f"expected: '{recorded}'", f"got: '{current}'"),
    )


def check_runtime_provenance(recorded: str, current: str) -> None:
    """Raise ``replay.runtime_provenance_mismatch`` unless the program is the one of the capture."""
    if recorded != current:
        raise ReplayError(
            "replay.runtime_provenance_mismatch",
            f"the program changed since the capture: recorded '{recorded}', current '{current}'",
            where="capture runtime provenance vs replay runtime surface",
            fix="give the program of the capture, or capture again; without --strict the change is allowed",
            details=(f"expected: '{current}'", f"got: '{recorded}'"),
        )

"""Replay of one kernel bundle: what must hold first, then the comparison (spec 00 §13.7)."""

from __future__ import annotations

from collections.abc import Callable

from ergo_cli.bundle.kernel_journals import KernelJournals
from ergo_cli.core.notices import Notice
from ergo_cli.errors import BundleError, ReplayError
from ergo_cli.events.adapter import adapter_provenance
from ergo_cli.replay.kernel.comparison import KernelComparison, KernelTarget
from ergo_cli.replay.options import ReplayOptions
from ergo_cli.replay.preflight import (
    allowed_differences,
    check_adapter_provenance,
    check_graph_id,
    check_integrity,
    check_runtime_provenance,
    check_unique_ids,
)
from ergo_cli.replay.result import BundleResult, Outcome
from ergo_cli.replay.scan import Scan


def replay_kernel(
    scan: Scan,
    target: KernelTarget,
    options: ReplayOptions = ReplayOptions(),
    on_event: Callable[[], None] | None = None,
) -> BundleResult:
    """Check, replay and compare a kernel bundle that was read before; ``on_event`` is called after each event.

    What refuses the bundle is in the result's ``error``: ReplayError, or BundleError ``bundle.journal_invalid``.
    """
    journals = KernelJournals(scan.reader)
    try:
        warnings = _preflight(scan, journals, target, options)
    except (ReplayError, BundleError) as error:
        return BundleResult(scan.reader.path, Outcome.REFUSED, error, graph_id=scan.reader.graph_id)
    return KernelComparison(scan, journals, target, options, on_event).run(warnings)


def _preflight(scan: Scan, journals: KernelJournals, target: KernelTarget, options: ReplayOptions) -> list[Notice]:
    if options.strict:
        check_graph_id(scan.reader.graph_id, target.graph_id)
    check_integrity(scan)
    journals.check()
    if not options.strict:
        return allowed_differences(scan, target, target.adapter)
    check_unique_ids(scan.duplicate)
    check_adapter_provenance(scan.reader.adapter_provenance, adapter_provenance(target.adapter))
    check_runtime_provenance(scan.reader.runtime_provenance, target.provenance)
    return []

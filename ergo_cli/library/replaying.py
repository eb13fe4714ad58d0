"""Replays that prove: what differs is raised, with everything that was found (spec 30 §27)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ergo_cli import errors
from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.errors import ErgoError
from ergo_cli.library.config import ReplayConfig
from ergo_cli.library.errors import ReplayError
from ergo_cli.library.programs import load_given_program
from ergo_cli.programs.graph.catalog import Inventory
from ergo_cli.replay.divergence import DivergenceKind, replay_code
from ergo_cli.replay.options import Target
from ergo_cli.replay.preflight import check_version
from ergo_cli.replay.replaying import replay_scanned
from ergo_cli.replay.result import BundleResult, Outcome
from ergo_cli.replay.scan import Scan, replay_setup_failed, scan_bundle, scan_value

Bundle = str | Path | CaptureBundle
"""A bundle by the path of its file, or as a value."""

IN_MEMORY = "<bundle>"
"""What errors call a bundle that is no file."""


def proven(bundle: Bundle, replay: Callable[[Scan], BundleResult]) -> BundleResult:
    """The result of a bundle that ``replay`` finds no difference in. Raises ReplayError for any other."""
    try:
        result = replay(_scanned(bundle))
    except ErgoError as error:
        raise ReplayError(error) from error
    if result.error is not None:
        raise ReplayError(result.error, result) from result.error
    if result.outcome is Outcome.DIVERGED:
        raise ReplayError(_diverged(result), result)
    return result


def replay_given(scan: Scan, config: ReplayConfig, inventory: Inventory) -> BundleResult:
    """A bundle against the program that ``config`` names. Raises ErgoError where that cannot be loaded."""
    try:
        found = load_given_program(config.graph, config.cluster_paths, config.adapter, inventory)
    except (errors.ProgramError, errors.AdapterError) as error:
        raise replay_setup_failed(error) from error
    return replay_scanned(scan, Target(found.program, found.adapter), config.options)


def _scanned(bundle: Bundle) -> Scan:
    if not isinstance(bundle, CaptureBundle):
        return scan_bundle(str(bundle))
    check_version(bundle.capture_version)
    return scan_value(bundle, IN_MEMORY)


def _diverged(result: BundleResult) -> errors.ReplayError:
    first = result.divergences[0] if result.divergences else None
    code = replay_code(DivergenceKind.DECISION if first is None else first.kind)
    message = f"{result.path}: the program does not decide as it was recorded: {result.divergence_count} divergences"
    fix = "look at the divergences of the result; capture again if the new decisions are right"
    if first is None:
        return errors.ReplayError(code, message, fix=fix)
    where = f"decision {first.seq}, event '{first.event_id}' {first.path}".rstrip()
    details = (f"expected: {first.expected}", f"got: {first.actual}")
    return errors.ReplayError(code, message, where=where, fix=fix, details=details)

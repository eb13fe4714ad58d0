"""Replay: drive today's program from a bundle and compare what comes out with what was recorded (spec 11 §12–13)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ergo_cli.bundle.reader import skim_bundle
from ergo_cli.core.notices import Notice
from ergo_cli.errors import BundleError, ReplayError
from ergo_cli.replay.comparison import Comparison
from ergo_cli.replay.options import ReplayOptions, Target
from ergo_cli.replay.preflight import allowed_differences, check_fit, check_integrity, check_strict
from ergo_cli.replay.proof import prove_match
from ergo_cli.replay.result import BundleResult, Outcome
from ergo_cli.replay.scan import Scan, scan_bundle

__all__ = ["ReplayOptions", "Target", "iter_replays", "replay_bundle", "replay_bundles", "replay_scanned"]


def replay_bundle(path: str, target: Target, options: ReplayOptions = ReplayOptions()) -> BundleResult:
    """Replay one bundle and compare.

    Raises ReplayError or BundleError where the bundle cannot be read; every later refusal is in the result's ``error``.
    """
    return _proven(path, target, options) or replay_scanned(scan_bundle(path), target, options)


def replay_bundles(
    paths: Iterable[str], find: Callable[[Scan], Target], options: ReplayOptions = ReplayOptions()
) -> list[BundleResult]:
    """The results of ``iter_replays``, all at once."""
    return list(iter_replays(paths, find, options))


def iter_replays(
    paths: Iterable[str], find: Callable[[Scan], Target], options: ReplayOptions = ReplayOptions()
) -> Iterator[BundleResult]:
    """Replay bundles one by one, each with the program that ``find`` gives for it."""
    for path in paths:
        scan = scan_bundle(path)
        yield replay_scanned(scan, find(scan), options)


def replay_scanned(
    scan: Scan, target: Target, options: ReplayOptions = ReplayOptions(), on_event: Callable[[], None] | None = None
) -> BundleResult:
    """Check, replay and compare a bundle that was read before; ``on_event`` is called after each event."""
    path = scan.reader.path
    try:
        warnings = _preflight(scan, target, options)
    except ReplayError as error:
        return BundleResult(path, Outcome.REFUSED, error, graph_id=scan.reader.graph_id)
    return Comparison(scan, target, options, on_event).run(warnings)


def _proven(path: str, target: Target, options: ReplayOptions) -> BundleResult | None:
    """The result of the short way, if there is one."""
    try:
        with skim_bundle(path) as reader:
            return prove_match(reader, target, options)
    except BundleError:  # told by the long way
        return None


def _preflight(scan: Scan, target: Target, options: ReplayOptions) -> list[Notice]:
    if options.strict:
        check_strict(scan, target.program, target.adapter)
        return []
    check_fit(target.program, target.adapter)
    check_integrity(scan)
    return allowed_differences(scan, target.program, target.adapter)

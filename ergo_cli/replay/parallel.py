"""Several bundles replayed at once, each in a process of its own; results come in the order asked for (spec 00 §6)."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from msgspec import Struct

from ergo_cli.errors import ErgoError
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.result import BundleResult, Outcome
from ergo_cli.replay.sessions import ReplayRequest, ReplaySession
from ergo_cli.replay.targets import BundlePath


class _Replayed(Struct, frozen=True):
    """What one process found out: its results, and which patterns it met, each with whether it matched."""

    results: tuple[BundleResult, ...]
    matched: Mapping[str, bool]


def replay_in_parallel(
    session: ReplaySession, bundles: Iterable[BundlePath], jobs: int, on_event: Callable[[], None] | None = None
) -> Iterator[BundleResult]:
    """What ``session.results`` gives, by ``jobs`` processes; ``on_event`` is called for a bundle's events at its end.

    Raises UsageError and ProjectError, as ``session.results``. A process that dies is the result of its bundle. No
    process outlives the iterator.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_leave_signals_to_the_parent)
    try:
        waiting = [(bundle, pool.submit(_replay, session.request, bundle)) for bundle in bundles]
        for bundle, future in waiting:
            yield from _gathered(session, bundle, future, on_event)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.kill()


def _replay(request: ReplayRequest, bundle: BundlePath) -> _Replayed:
    session = ReplaySession(request, ProgramStore.of_user())
    return _Replayed(tuple(session.results([bundle])), session.matched())


def _leave_signals_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _gathered(
    session: ReplaySession, bundle: BundlePath, future: Future[_Replayed], on_event: Callable[[], None] | None
) -> Iterator[BundleResult]:
    try:
        replayed = future.result()
    except BrokenProcessPool:
        yield BundleResult(bundle.path, Outcome.REFUSED, _died(bundle))
        return
    session.met(replayed.matched)
    for result in replayed.results:
        if on_event is not None:
            for _ in range(result.events or 0):
                on_event()
        yield result


def _died(bundle: BundlePath) -> ErgoError:
    message = f"a process died while bundles were replayed; '{bundle.path}' was not"
    fix = "look whether memory ran out; replay with fewer --jobs, or without"
    return ErgoError("internal.error", message, where=bundle.path, fix=fix)

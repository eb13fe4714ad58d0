"""Several bundles replayed at once, by a few processes; results come in the order asked for (spec 00 §6).

Each worker has a separate pipe and one bundle at a time, so a worker that dies loses only that bundle, which is known;
an executor of the standard library would break as a whole without naming it. A worker ends with its pipe and so does
not outlive its parent.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Any, cast

from msgspec import Struct

from ergo_cli.errors import ErgoError
from ergo_cli.programs.kinds import unexpected
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.results import BundleResult, Outcome
from ergo_cli.replay.selection import BundlePath
from ergo_cli.replay.session import ReplayRequest, ReplaySession
from ergo_cli.signals import ENDING, before_the_end, signals_held
from ergo_cli.stores.inflation import limit_in_force, reading_at_most

_SPAWN = get_context("spawn")
_COUNTED_AT_ONCE = 1000
_at_work: set[_Worker] = set()


@before_the_end
def _kill_workers() -> None:
    for worker in tuple(_at_work):
        worker.kill()


class _Answer(Struct, frozen=True):
    """What became of a bundle, or the error that ends the whole replay; which patterns were met, and matched."""

    outcome: BundleResult | ErgoError
    matched: Mapping[str, bool] = {}


def replay_in_parallel(
    session: ReplaySession, bundles: Sequence[BundlePath], jobs: int, on_event: Callable[[], None] | None = None
) -> Iterator[BundleResult]:
    """What ``session.results`` gives, by ``jobs`` processes; ``on_event`` is called once an event, many at a time.

    A process that dies is the result of its bundle: ``internal.error``. Raises UsageError and ProjectError, as
    ``session.results``, and ErgoError ``internal.error`` for a defect. No process outlives the iterator.
    """
    crew = _Crew(session, bundles, on_event)
    try:
        crew.hire(jobs)
        for index in range(len(bundles)):
            answer = crew.answer(index)
            if isinstance(answer.outcome, ErgoError):
                raise answer.outcome
            session.met(answer.matched)
            yield answer.outcome
    finally:
        crew.dismiss()


class _Crew:
    """The workers, all of them busy, the bundles that none has taken up, and the answers not collected yet."""

    def __init__(
        self, session: ReplaySession, bundles: Sequence[BundlePath], on_event: Callable[[], None] | None
    ) -> None:
        self._session = session
        self._on_event = on_event
        self._untouched = deque(enumerate(bundles))
        self._answers: dict[int, _Answer] = {}
        self._workers: list[_Worker] = []

    def hire(self, number: int) -> None:
        """Start so many workers, fewer where there is not a bundle for each."""
        for _ in range(min(number, len(self._untouched))):
            worker = _Worker(self._session, *self._untouched.popleft(), counts=self._on_event is not None)
            self._workers.append(worker)
            worker.start()

    def answer(self, index: int) -> _Answer:
        """The answer for the bundle with this index, once it is there."""
        while index not in self._answers:
            waited_for = {worker.pipe: worker for worker in self._workers}
            for pipe in wait(list(waited_for)):
                self._listen(waited_for[cast("Connection[Any, Any]", pipe)])
        return self._answers.pop(index)

    def dismiss(self) -> None:
        """End all that is still at work."""
        for worker in self._workers:
            worker.end()

    def _listen(self, worker: _Worker) -> None:
        match worker.heard():
            case int(events):
                self._count(events)
            case None:
                self._workers.remove(worker)
                self._answers[worker.index] = _Answer(worker.lost())
                self.hire(1)
            case answer:
                self._answers[worker.index] = answer
                if self._untouched:
                    worker.take(*self._untouched.popleft())
                else:
                    self._workers.remove(worker)
                    worker.end()

    def _count(self, events: int) -> None:
        if self._on_event is not None:
            for _ in range(events):
                self._on_event()


class _Worker:
    """A process that replays bundles, as the one that started it sees it."""

    def __init__(self, session: ReplaySession, index: int, bundle: BundlePath, *, counts: bool) -> None:
        self.pipe, self._its_end = _SPAWN.Pipe()
        task = (session.request, session.clock, counts, limit_in_force(), self._its_end)
        self._process = _SPAWN.Process(target=_work, args=task)
        self.take(index, bundle)

    def start(self) -> None:
        """Let it begin."""
        with signals_held(), _signals_blocked():
            _at_work.add(self)
            self._process.start()
        self._its_end.close()

    def take(self, index: int, bundle: BundlePath) -> None:
        """Send it the next bundle; a dead worker is noticed when its pipe is read."""
        self.index, self.bundle = index, bundle
        with suppress(OSError):
            self.pipe.send(bundle)

    def heard(self) -> int | _Answer | None:
        """Its next message: a number of further events, or the answer; None if it is dead."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

    def lost(self) -> BundleResult:
        """The result of the bundle that it had when it died."""
        self._process.join()
        code, path = self._process.exitcode or 0, self.bundle.path
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        message = f"the process that replayed '{path}' {how}"
        fix = "look whether memory ran out; replay with fewer --jobs, or without"
        return BundleResult(path, Outcome.REFUSED, ErgoError("internal.error", message, where=path, fix=fix))

    def end(self) -> None:
        """Kill it: its results are already received, and it writes nothing."""
        self.kill()
        _at_work.discard(self)
        if self._process.pid is not None:
            self._process.join()

    def kill(self) -> None:
        """Kill it, without waiting for its end."""
        if self._process.pid is not None:
            self._process.kill()


@contextmanager
def _signals_blocked() -> Generator[None]:
    """Processes started within do not receive what is sent to the whole group: the parent handles it and ends them."""
    resource_tracker.ensure_running()  # started now: starting it later would unblock signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(
    request: ReplayRequest,
    clock: Callable[[], float] | None,
    counts: bool,
    max_input: int | None,
    pipe: Connection[Any, Any],
) -> None:
    """What a worker does: bundles come in, answers go out, until the pipe breaks."""
    sys.stdout = sys.stderr  # output of user code is not a result
    Thread(target=_end_with_parent, name="ergo parent", daemon=True).start()
    session, counter = ReplaySession(request, ProgramStore.of_user(), clock), _Counter(pipe)
    with suppress(EOFError, ConnectionError), reading_at_most(max_input):
        while True:
            answer = _answer(session, pipe.recv(), counter.step if counts else None)
            counter.tell()
            pipe.send(answer)


def _end_with_parent() -> None:
    """End the worker at once when the process that started it is killed, even in the middle of a bundle."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _answer(session: ReplaySession, bundle: BundlePath, on_event: Callable[[], None] | None) -> _Answer:
    try:
        [result] = session.results([bundle], on_event)
    except ErgoError as error:
        return _Answer(error)
    except BaseException as error:  # noqa: BLE001 - sys.exit in user code must not look like a worker's death
        traceback.print_exception(error)
        return _Answer(unexpected(error))
    return _Answer(result, session.matched())


class _Counter:
    """Counts the events of a worker and says so now and then, for the progress that its parent shows."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe = pipe
        self._events = 0

    def step(self) -> None:
        """One event more."""
        self._events += 1
        if self._events == _COUNTED_AT_ONCE:
            self.tell()

    def tell(self) -> None:
        """Say how many there were since the last time."""
        if self._events:
            with suppress(ConnectionError):  # the parent is gone: the worker notices at its next bundle
                self._pipe.send(self._events)
            self._events = 0

"""A crew whose workers take turns: one goes on at a time, until it pauses, and a seed decides which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from threading import Semaphore, Thread, current_thread

from ergo_cli.stores.memory import MemoryArtifacts, MemoryJournal


class Killed(BaseException):
    """The process dies here."""


class Worker(Thread):
    """Does one piece of work, in pieces."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._turn, self._pause = Semaphore(0), Semaphore(0)
        self.has_ended = False
        self.is_dead = False

    def run(self) -> None:
        self._turn.acquire()
        try:
            self._work()
        finally:
            self.has_ended = True
            self._pause.release()

    def go_on(self) -> None:
        """Let it work until it pauses or has ended."""
        self._turn.release()
        self._pause.acquire()

    def give_way(self) -> None:
        """Called by the worker itself: let others work."""
        self._pause.release()
        self._turn.acquire()
        if self.is_dead:
            raise Killed


class TakingTurns:
    """The crew: its workers go on while the thread of the run waits, and only then."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._workers: list[Worker] = []
        self.most_at_once = 0

    def start(self, work: Callable[[], None], name: str) -> None:
        worker = Worker(work, name)
        worker.start()
        self._workers.append(worker)
        self.most_at_once = max(self.most_at_once, len(self._workers))

    def wait(self) -> None:
        while True:
            worker = self._random.choice(self._workers)
            worker.go_on()
            if worker.has_ended:
                self._workers.remove(worker)
                return

    def die(self) -> None:
        """End all work where it stands."""
        for worker in self._workers:
            worker.is_dead = True
            while not worker.has_ended:
                worker.go_on()
        self._workers.clear()


def pause() -> None:
    """Let others work, where the caller works for a crew."""
    worker = current_thread()
    if isinstance(worker, Worker):
        worker.give_way()


class Life:
    """Counts the appends of a process, which dies at the ``deadly`` ones, before or after the append."""

    def __init__(self, deadly: Sequence[tuple[int, bool]] = ()) -> None:
        self.deadly = dict(deadly)
        self.appends = 0
        self.is_over = False

    def check(self, *, after: bool) -> None:
        if self.is_over or self.deadly.get(self.appends) is after:
            self.is_over = True
            raise Killed


class MortalJournal(MemoryJournal):
    """A journal of a process that may die, whose appends let others work before and after."""

    def __init__(self, life: Life) -> None:
        super().__init__()
        self.life = life

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        pause()
        self.life.appends += 1
        self.life.check(after=False)
        head = super().append(run, texts, expected_head)
        self.life.check(after=True)
        pause()
        return head


class PausingArtifacts(MemoryArtifacts):
    """Artifacts whose reader lets others work."""

    def get(self, artifact: str) -> bytes:
        pause()
        return super().get(artifact)

"""Scripted collaborators of kernels: steps, executors, sinks and clocks (spec 40 Annex B)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ergo_cli.programs.kernel.engine.actions import Action, ActionCall, ActionResult, Complete, Next, RuntimeEffect
from ergo_cli.programs.kernel.engine.errors import KernelError, driver_error


class ScriptedStep:
    """Answers each call with the next of ``answers``, or raises it; completes once they are used up."""

    def __init__(self, answers: Iterable[Next | Exception]) -> None:
        self._answers = deque(answers)
        self.calls = 0
        """The number of calls."""

    def __call__(self, state: object) -> Next:
        """The next answer, for any state."""
        self.calls += 1
        answer = self._answers.popleft() if self._answers else Complete()
        if isinstance(answer, Exception):
            raise answer
        return answer


class ScriptedExecutor:
    """Answers each action with the next of ``answers``, or raises it; raises KernelError once they are used up."""

    def __init__(self, answers: Iterable[ActionResult | KernelError | Exception]) -> None:
        self._answers = deque(answers)
        self.calls: list[tuple[Action, ActionCall]] = []
        """The actions it was asked to execute, in order."""

    def __call__(self, action: Action, call: ActionCall) -> ActionResult:
        """The next answer, for any action."""
        self.calls.append((action, call))
        if not self._answers:
            raise driver_error("missing scripted response")
        answer = self._answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer


class CollectingEffectSink:
    """Keeps every effect it records."""

    def __init__(self) -> None:
        self.recorded: list[tuple[str, RuntimeEffect]] = []
        """Run id and effect, in order."""

    def record(self, run_id: str, effect: RuntimeEffect) -> None:
        """Keep the effect."""
        self.recorded.append((run_id, effect))

    @property
    def effects(self) -> list[RuntimeEffect]:
        """The effects alone."""
        return [effect for _, effect in self.recorded]


class ScriptedClock:
    """A clock that advances only by ``advance`` and by sleeping, which takes no real time."""

    def __init__(self, now: int = 0) -> None:
        self._now = now
        self.sleeps: list[int] = []
        """Every sleep in ns, in order."""

    def wall_ms(self) -> int:
        """The time in milliseconds."""
        return self._now // 1_000_000

    def monotonic_ns(self) -> int:
        """The time in nanoseconds."""
        return self._now

    def sleep_ns(self, duration: int) -> None:
        """Advance by the duration at once."""
        self.sleeps.append(duration)
        self._now += duration

    def advance(self, duration: int) -> None:
        """Advance by ``duration`` nanoseconds."""
        self._now += duration

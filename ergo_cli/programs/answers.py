"""Run a program that acts once more, with the answers of the world as they were recorded (spec 00 §13.8)."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from ergo_cli.programs.recorded import Episode
from ergo_cli.supervisor.journals import StatefulInvoker


class AnswerMissing(BaseException):
    """Today's program asks the world for what was never recorded. No Exception: a handler must not catch it.

    ``asked`` says what it asks for, ``place`` where: a run, a state, a stage.
    """

    def __init__(self, asked: str, place: str) -> None:
        super().__init__(f"{place}: {asked}")
        self.asked = asked
        self.place = place


class AnsweredInvoker(StatefulInvoker, Protocol):
    """An invoker that runs today's program and records it as a live run does, answered from one recording.

    ``run`` and ``close`` raise AnswerMissing. ``close`` ends as the recording ended, whatever it is told.
    """

    def serve(self, episode: Episode | None) -> None:
        """Answer the next calls from this episode; before ``close``, from what closing recorded."""
        ...


@runtime_checkable
class RunsOnAnswers(Protocol):
    """An ``Acting`` of a kind whose programs can run on recorded answers."""

    def answered(self, program: Any) -> AnsweredInvoker:
        """An invoker at its beginning, which reaches nothing outside."""
        ...

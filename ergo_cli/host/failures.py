"""What failed in a run, gathered by cause in bounded memory: the first of each cause, and counts."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ergo_cli.bundle.schema import termination_name
from ergo_cli.core.code_places import CodePlace, user_frames, user_place
from ergo_cli.errors import ErgoError, RuleError, text_of
from ergo_cli.supervisor.seam import RunTermination

MOST_CAUSES = 100
"""The number of causes that are kept; failures of further causes are only counted."""

_COUNTED = 10_000
"""The number of further causes that are told apart when they are counted."""

_LONGEST = 2000
"""The characters of a message that are kept: a message may quote a whole payload."""


class Cause(Struct, frozen=True):
    """Why an episode failed.

    ``error`` is the type of the exception or the broken rule, ``node`` the part of a graph it came from, ``place`` the
    user's line; ``termination`` is how the episode ended, all that is known of a kind that names no errors.
    """

    termination: str
    error: str | None = None
    message: str | None = None
    node: str | None = None
    place: CodePlace | None = None


class FailureGroup(Struct):
    """The failures of one cause: their number, the first and the last event; ``where`` is the place of the first.

    ``frames`` are the user's lines that led to the first, the innermost first. Closing the program, after the last
    event, fails without an event.
    """

    cause: Cause
    first: str | None
    last: str | None
    where: str | None = None
    count: int = 1
    frames: tuple[CodePlace, ...] = ()


class FailureSummary(Struct, frozen=True):
    """All failures of a run: groups in order of their first failure, and the number of those whose cause was left out.

    ``other_causes`` counts the causes left out; ``others_are_more``: that is a lower bound. ``closing`` is how closing
    the program failed, if it did.
    """

    groups: tuple[FailureGroup, ...] = ()
    others: int = 0
    other_causes: int = 0
    others_are_more: bool = False
    closing: str | None = None


class Failures:
    """Gathers failures; ``MOST_CAUSES`` bounds its memory."""

    def __init__(self) -> None:
        self._groups: dict[Cause, FailureGroup] = {}
        self._others = 0
        self._other_causes: set[int] = set()
        self._closing: str | None = None

    def listener(self, invoker: object) -> Callable[[str, RunTermination], None]:
        """A listener for the failed episodes of an invoker, which may have a ``last_error``."""
        return lambda event_id, ended: self.note(event_id, ended, getattr(invoker, "last_error", None))

    def note(self, event_id: str | None, ended: RunTermination, error: BaseException | None) -> None:
        """Count one failure."""
        cause = _cause(ended, error)
        group = self._groups.get(cause)
        if group is not None:
            group.count += 1
            group.last = event_id or group.last
        elif len(self._groups) < MOST_CAUSES:
            where = error.where if isinstance(error, ErgoError) else None
            frames = () if error is None else user_frames(error)
            self._groups[cause] = FailureGroup(cause, event_id, event_id, where, frames=frames)
        else:
            self._others += 1
            if len(self._other_causes) < _COUNTED:
                self._other_causes.add(hash(cause))

    def note_closing(self, ended: RunTermination, error: BaseException | None) -> None:
        """Count the failure of closing the program."""
        self._closing = termination_name(ended)
        self.note(None, ended, error)

    def summary(self) -> FailureSummary:
        """The failures so far."""
        causes = len(self._other_causes)
        return FailureSummary(tuple(self._groups.values()), self._others, causes, causes == _COUNTED, self._closing)


def _cause(ended: RunTermination, error: BaseException | None) -> Cause:
    termination = termination_name(ended)
    if error is None:
        return Cause(termination)
    node = _node(error) if isinstance(error, RuleError) else None
    raised = _raised(error)
    if isinstance(raised, ErgoError):
        name, message = raised.code, raised.message
    else:
        name, message = type(raised).__name__, text_of(raised)
    return Cause(termination, name, message[:_LONGEST], node, user_place(error))


def _raised(error: BaseException) -> BaseException:
    """The exception of user code that ergo wrapped; the error itself where it says more than its cause."""
    cause = error.__cause__
    if cause is None or isinstance(cause, ErgoError) or not isinstance(error, ErgoError):
        return error
    return error if isinstance(error, RuleError) and error.rule != "INTERNAL" else cause


def _node(error: RuleError) -> str | None:
    """The path of the node from the graph inwards; ``authoring_path`` names the cluster before each part."""
    return "/".join(part.partition("/")[2] for part in error.authoring_path) or error.node

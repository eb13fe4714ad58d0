"""The interface between supervisor and programs: limits, episodes, terminations, decisions (spec 10 §16–18)."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from msgspec import Struct

from ergo_cli.core.values import ProducedEffect
from ergo_cli.events.external import Context, ExternalEvent


class Constraints(Struct, frozen=True):
    """Limits of a run. Durations are ns; None means unlimited."""

    max_in_flight: int | None = None
    max_per_window: int | None = None
    rate_window: int | None = None
    deadline: int | None = None
    max_retries: int = 0


class Outcome(Enum):
    """A termination without further data."""

    COMPLETED = "Completed"
    TIMED_OUT = "TimedOut"
    ABORTED = "Aborted"


class ErrKind(Enum):
    """Why an episode failed: mechanical reasons only; the outcome of a domain is data (SUP-5)."""

    NETWORK_TIMEOUT = "NetworkTimeout"
    ADAPTER_UNAVAILABLE = "AdapterUnavailable"
    VALIDATION_FAILED = "ValidationFailed"
    RUNTIME_ERROR = "RuntimeError"
    SEMANTIC_ERROR = "SemanticError"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    CANCELLED = "Cancelled"


class Failed(Struct, frozen=True, gc=False, forbid_unknown_fields=True, rename={"kind": "Failed"}):
    """An episode that failed; on the wire ``{"Failed":"<kind>"}``."""

    kind: ErrKind


RunTermination = Outcome | Failed
"""How an invoked episode ended. A graph has effects only if ``COMPLETED``; a stateful program may always have some."""


class RuntimeInvoker(Protocol):
    """Runs one episode: the whole interface of a program that the supervisor uses (SUP-2).

    Never raises for an episode's failure. Effects leave by a side channel, so that no decision can depend on them.
    """

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """Run the episode of ``event_id``; ``deadline`` is a duration in ns, zero means ``ABORTED`` at once."""
        ...


class EffectfulInvoker(RuntimeInvoker, Protocol):
    """The host's view of an invoker: the effects of the last attempt can be drained once (HST-4).

    Every kind of program offers one: ``Computing.invoker`` or ``Acting.invoker``.
    """

    @property
    def run_calls(self) -> int:
        """How many times ``run`` was called."""
        ...

    @property
    def pending(self) -> int:
        """How many effects wait to be drained."""
        ...

    def drain_rendered(self) -> list[ProducedEffect]:
        """The effects of the last attempt, in program order; empties the buffer.

        Raises ValueError for an effect that JSON cannot hold.
        """
        ...


class Decision(Enum):
    """What was decided for one event. The supervisor never decides ``SKIP``; the format has it."""

    INVOKE = "Invoke"
    SKIP = "Skip"
    DEFER = "Defer"


class LogEntry(Struct, frozen=True, gc=False):
    """One decision. ``schedule_at`` and ``deadline`` in ns; ``termination`` is given exactly with ``INVOKE``."""

    graph_id: str
    event: ExternalEvent
    decision: Decision
    schedule_at: int | None
    episode_id: int
    deadline: int | None
    termination: RunTermination | None
    retry_count: int


DecidedEffects = tuple[LogEntry, list[ProducedEffect]]
"""A decision, and the effects of the episode that ran for it."""


class DecisionLog(Protocol):
    """Receives decisions."""

    def log(self, entry: LogEntry, /) -> None:
        """Append one decision."""
        ...

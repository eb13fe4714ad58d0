"""The seam between supervisor and programs: how an episode is run, and how it may end (spec 10 §16–17)."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from msgspec import Struct

from ergo_cli.core.effects import ProducedEffect
from ergo_cli.events.external import Context


class Outcome(Enum):
    """A termination that needs no further word."""

    COMPLETED = "Completed"
    TIMED_OUT = "TimedOut"
    ABORTED = "Aborted"


class ErrKind(Enum):
    """Why an episode failed: mechanical reasons only, a domain's outcome is data (SUP-5)."""

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
"""How an invoked episode ended. Of a graph only ``COMPLETED`` carries effects; what acts as it runs leaves its own."""


class RuntimeInvoker(Protocol):
    """Runs one episode: all that the supervisor knows of any program (SUP-2).

    Never raises for an episode's failure. Effects leave by a side channel, so that no decision can depend on them.
    """

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """Run the episode of ``event_id``; ``deadline`` is a duration in ns, zero means ``ABORTED`` at once."""
        ...


class EffectfulInvoker(RuntimeInvoker, Protocol):
    """An invoker as the host sees it: what the last attempt wants done can be drained, once (HST-4).

    Every wing of ``programs`` offers one as its front door, ``invoker.py``.
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

"""Who answers an interrupt (spec 40 §10.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from ergo_cli.programs.kernel.errors import InterruptError
from ergo_cli.programs.kernel.interrupts.records import InterruptRecord, KernelInterrupt
from ergo_cli.programs.kernel.wire import FreeValue

UI, AGENT, POLICY_ENGINE, API = "ui", "agent", "policy_engine", "api"
"""The usual sources of answers; any other name is a source of the user's own."""

Handler = Callable[[InterruptRecord | KernelInterrupt], FreeValue]
"""Gives the answer to an interrupt."""


class UnifiedInterruptResolver:
    """One handler for each source; the last one registered counts."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def register(self, source: str, handler: Handler) -> None:
        """Let this handler answer interrupts of a source."""
        self._handlers[source] = handler

    def resolve(self, interrupt: InterruptRecord | KernelInterrupt) -> FreeValue:
        """The answer of the interrupt's source (``metadata.source``, else ``api``), else of ``api``.

        Raises InterruptError where neither has a handler.
        """
        handler = self._handlers.get(_source_of(interrupt)) or self._handlers.get(API)
        if handler is None:
            raise InterruptError(f"Resolver error: No handler for source: {_source_of(interrupt)}")
        return handler(interrupt)


def _source_of(interrupt: InterruptRecord | KernelInterrupt) -> str:
    metadata = interrupt.metadata if isinstance(interrupt, KernelInterrupt) else None
    source = cast("dict[str, object]", metadata).get("source") if isinstance(metadata, dict) else None
    return source if isinstance(source, str) else API

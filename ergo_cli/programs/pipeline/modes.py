"""How a pipeline starts, how strict it is with its sources, when its records are synced (spec 60 §12.2, §14.6, §26).

Each is resolved once a run (H-13); ``of_variable`` reads the text that the command line finds in the environment.
"""

from __future__ import annotations

from enum import Enum


class StartupMode(Enum):
    """Whether a pipeline runs as soon as it is ready, or waits to be asked."""

    AUTO = "auto"
    MANUAL = "manual"

    @classmethod
    def of_variable(cls, text: str | None) -> StartupMode:
        """``manual`` in any case is manual, all else auto (C-9)."""
        return cls.MANUAL if text is not None and text.lower() == "manual" else cls.AUTO


class SourceContract(Enum):
    """Whether a failed contract on the edge of a source aborts the pipeline."""

    ABORT = "abort"
    WARN = "warn"

    @classmethod
    def of_variable(cls, text: str | None) -> SourceContract:
        """``warn`` in any case is warn, all else abort (C-8)."""
        return cls.WARN if text is not None and text.lower() == "warn" else cls.ABORT


class Fsync(Enum):
    """When a store has what a flow appended on its disk: after each append, after each effect, after each episode."""

    RECORD = "record"
    GROUP = "group"
    EPISODE = "episode"

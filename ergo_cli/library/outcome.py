"""How a run ended, and what it left (spec 30 §13.4)."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.core.notices import Notice
from ergo_cli.errors import ErgoError
from ergo_cli.host import running
from ergo_cli.host.interruption import Interruption


class RunSummary(running.RunSummary, frozen=True):
    """What a run came to, and where its bundle is: in the file ``capture_path``, or in memory."""

    capture_path: Path | None
    notices: tuple[Notice, ...]
    """What is odd about the run though nothing is wrong with it."""
    memory: CaptureBundle | None

    @property
    def capture_bundle(self) -> CaptureBundle:
        """The bundle; one that went to a file is read from there. Raises BundleError where it cannot be any more."""
        if self.memory is not None:
            return self.memory
        with open_bundle(str(self.capture_path)) as reader:
            return reader.load()


class Completed(Struct, frozen=True):
    """The events came to their end."""

    summary: RunSummary


class Interrupted(Struct, frozen=True):
    """The run ended before its events did, and what was committed is kept; ``error`` is what broke it, if any did."""

    summary: RunSummary
    reason: Interruption
    error: ErgoError | None = None


RunOutcome = Completed | Interrupted

"""The errors of the library: one class for each operation, each error with a category (spec 30 §27).

Each is an ErgoError with the code, message, place and fix of the error in ``cause``. ``category`` names the part of the
operation that failed; for ``config``, ``cause`` is a ConfigError, whose category names what was wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ergo_cli import errors
from ergo_cli.errors import ErgoError
from ergo_cli.library.categories import (
    config_category,
    is_config,
    kept_run_category,
    replay_category,
    stage_category,
    step_category,
)

if TYPE_CHECKING:
    from ergo_cli.bundle.memory import CaptureBundle
    from ergo_cli.replay.results import BundleResult


class LibraryError(ErgoError):
    """An operation of the library failed; ``cause`` is the underlying error."""

    def __init__(self, cause: ErgoError, category: str) -> None:
        ErgoError.__init__(
            self,
            cause.code,
            cause.message,
            where=cause.where,
            fix=cause.fix,
            rule=cause.rule,
            details=cause.details,
            causes=cause.causes,
        )
        self.cause = cause
        self.category = category


class ConfigError(LibraryError):
    """A project, a profile or a configuration cannot be used."""

    def __init__(self, cause: ErgoError) -> None:
        super().__init__(cause, config_category(cause))


class BuildError(LibraryError):
    """A handle cannot be built: ``registration``, ``project``, ``project_source_conflict``."""


class RunError(LibraryError):
    """A run failed without a result; an error that ends a run later is in its outcome."""

    def __init__(self, cause: ErgoError) -> None:
        super().__init__(*_staged(cause))


class RunnerError(LibraryError):
    """A runner could not be made; its channels have ended."""

    def __init__(self, cause: ErgoError) -> None:
        super().__init__(*_staged(cause))


class StepError(LibraryError, errors.StepError):
    """One event could not be stepped.

    ``is_recoverable``: the event had no effect and the runner can take another step. ``can_finish``: the runner cannot
    step any more, but can finish and return the bundle of what it committed.
    """

    def __init__(self, cause: errors.StepError | errors.CaptureWriteError) -> None:
        super().__init__(cause, step_category(cause))
        self.name = cause.name if isinstance(cause, errors.StepError) else "EffectApply"
        self.recoverable = isinstance(cause, errors.StepError) and cause.recoverable

    @property
    def is_recoverable(self) -> bool:
        """Whether the runner can take another step."""
        return self.recoverable

    @property
    def can_finish(self) -> bool:
        """Whether the runner can only finish: a channel did not acknowledge an intent."""
        return self.category == "egress_dispatch"


class CaptureError(LibraryError):
    """A bundle cannot be made or written: ``finalize``, ``output_not_configured``, ``write``.

    ``bundle`` holds what was committed, None if nothing can be finished.
    """

    def __init__(self, cause: ErgoError, category: str, bundle: CaptureBundle | None = None) -> None:
        super().__init__(cause, category)
        self.bundle = bundle


class KeptRunError(LibraryError):
    """An operation on the runs of a store failed: ``config``, ``store``, ``program``, ``run``."""

    def __init__(self, cause: ErgoError) -> None:
        super().__init__(ConfigError(cause) if is_config(cause) else cause, kept_run_category(cause))


class ReplayError(LibraryError, errors.ReplayError):
    """A bundle cannot be replayed, or the current program decides otherwise than recorded.

    ``result`` holds every divergence, None if the comparison did not begin.
    """

    def __init__(self, cause: ErgoError, result: BundleResult | None = None) -> None:
        super().__init__(ConfigError(cause) if is_config(cause) else cause, replay_category(cause))
        self.result = result


class ValidationError(LibraryError):
    """A project is invalid: ``config``, or ``profile`` and ``host_validation`` of one ``profile``.

    ``faults`` holds all faults found, this one included, each a ValidationError without further faults.
    """

    def __init__(self, cause: ErgoError, profile: str | None = None) -> None:
        category = "host_validation" if profile is not None else "config"
        if profile is not None and is_config(cause):
            category = "profile"
        super().__init__(ConfigError(cause) if is_config(cause) else cause, category)
        self.profile = profile
        self.faults: tuple[ValidationError, ...] = (self,)


def _staged(cause: ErgoError) -> tuple[ErgoError, str]:
    return ConfigError(cause) if is_config(cause) else cause, stage_category(cause)

"""What the library raises: one family for each operation, every member of it under a category (spec 30 §27).

The families are ErgoErrors like any other: code, message, place and advice are those of the fault behind them, which
``cause`` is. ``category`` says which part of the operation it was; what of a project or a configuration was wrong is
told by the category of the ConfigError behind a ``config``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ergo_cli import errors
from ergo_cli.errors import ErgoError
from ergo_cli.library.categories import config_category, is_config, replay_category, stage_category, step_category

if TYPE_CHECKING:
    from ergo_cli.bundle.memory import CaptureBundle
    from ergo_cli.replay.result import BundleResult


class LibraryError(ErgoError):
    """An operation of the library that failed; ``cause`` is why."""

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
    """No handle can be built: ``registration``, ``project``, ``project_source_conflict``."""


class RunError(LibraryError):
    """A run that came to nothing; whatever ends a run later is told by its outcome."""

    def __init__(self, cause: ErgoError) -> None:
        super().__init__(*_staged(cause))


class RunnerError(LibraryError):
    """A runner that could not be made; no channel of it is left."""

    def __init__(self, cause: ErgoError) -> None:
        super().__init__(*_staged(cause))


class StepError(LibraryError, errors.StepError):
    """One event could not be stepped.

    ``is_recoverable``: the event left no trace and the runner may go on. ``can_finish``: the runner cannot step any
    more, but what it committed can be had.
    """

    def __init__(self, cause: errors.StepError | errors.CaptureWriteError) -> None:
        super().__init__(cause, step_category(cause))
        self.name = cause.name if isinstance(cause, errors.StepError) else "EffectApply"
        self.recoverable = isinstance(cause, errors.StepError) and cause.recoverable

    @property
    def is_recoverable(self) -> bool:
        """Whether another step may follow."""
        return self.recoverable

    @property
    def can_finish(self) -> bool:
        """Whether nothing but finishing is left: a channel did not take an intent over."""
        return self.category == "egress_dispatch"


class CaptureError(LibraryError):
    """A bundle that is not to be had or not written: ``finalize``, ``output_not_configured``, ``write``.

    ``bundle`` is what was committed, wherever there is such a thing.
    """

    def __init__(self, cause: ErgoError, category: str, bundle: CaptureBundle | None = None) -> None:
        super().__init__(cause, category)
        self.bundle = bundle


class ReplayError(LibraryError, errors.ReplayError):
    """A bundle that cannot be replayed, or that today's program does not decide as it was recorded.

    ``result`` holds every divergence, wherever the comparison was begun.
    """

    def __init__(self, cause: ErgoError, result: BundleResult | None = None) -> None:
        super().__init__(ConfigError(cause) if is_config(cause) else cause, replay_category(cause))
        self.result = result


class ValidationError(LibraryError):
    """A project with something wrong in it: ``config``, or ``profile`` and ``host_validation`` of one ``profile``.

    ``faults`` are all that were found, this one among them, each a ValidationError that has no further ones.
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

"""The settings of a pipeline, resolved once a run (spec 60 §24, H-13, H-16)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.errors import headline
from ergo_cli.programs.pipeline.counters import Count
from ergo_cli.programs.pipeline.errors import PipelineError
from ergo_cli.programs.pipeline.modes import Fsync, SourceContract, StartupMode

DEFAULT_SHUTDOWN_MS = 30_000
DEFAULT_METRICS_DRAIN_MS = 5_000

TIME_LIMIT_MS = 2**63
"""No time is that long."""


class RecordedSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings that can change a record, as a manifest holds them: members ascending."""

    drain_timeout_ms: Count | None = None
    shutdown_timeout_ms: Count
    source_contract: SourceContract


class PipelineSettings(Struct, frozen=True):
    """What a program sets; times in milliseconds.

    ``startup_mode`` is ``auto``, or ``manual``, which is for the library alone. ``source_contract`` says whether a
    failed contract of a source's edge is to ``abort`` the pipeline or to ``warn``. ``drain_timeout_ms`` fails a
    pipeline whose stages have all completed while evidence is missing for that long; None waits on. ``fsync`` says what
    a power cut may take of the records in a store: nothing (``record``), what follows the last effect or the end of the
    last episode (``group``), what follows the end of the last episode (``episode``).
    """

    startup_mode: str = "auto"
    source_contract: str = "abort"
    shutdown_timeout_ms: int = DEFAULT_SHUTDOWN_MS
    metrics_drain_timeout_ms: int = DEFAULT_METRICS_DRAIN_MS
    drain_timeout_ms: int | None = None
    fsync: str = "record"

    @property
    def startup(self) -> StartupMode:
        """The startup mode."""
        return StartupMode(self.startup_mode)

    @property
    def source_mode(self) -> SourceContract:
        """How strict the pipeline is with its sources."""
        return SourceContract(self.source_contract)

    @property
    def fsync_mode(self) -> Fsync:
        """When records are synced."""
        return Fsync(self.fsync)

    def recorded(self) -> RecordedSettings:
        """The settings that can change a record."""
        return RecordedSettings(
            drain_timeout_ms=self.drain_timeout_ms,
            shutdown_timeout_ms=self.shutdown_timeout_ms,
            source_contract=self.source_mode,
        )

    def as_recorded(self, recorded: RecordedSettings) -> PipelineSettings:
        """These settings, with those of a recorded flow."""
        return replace(
            self,
            drain_timeout_ms=recorded.drain_timeout_ms,
            shutdown_timeout_ms=recorded.shutdown_timeout_ms,
            source_contract=recorded.source_contract.value,
        )


def check_settings(settings: PipelineSettings) -> None:
    """Raise PipelineError ``pipeline.invalid_setting``: the first fault, the others as its causes."""
    faults = list(_faults(settings))
    if faults:
        raise headline(faults)


def _faults(settings: PipelineSettings) -> Iterator[PipelineError]:
    yield from _bad_token("startup_mode", settings.startup_mode, StartupMode)
    yield from _bad_token("source_contract", settings.source_contract, SourceContract)
    yield from _bad_token("fsync", settings.fsync, Fsync)
    yield from _bad_time("shutdown_timeout_ms", settings.shutdown_timeout_ms)
    yield from _bad_time("metrics_drain_timeout_ms", settings.metrics_drain_timeout_ms)
    if settings.drain_timeout_ms is not None:
        yield from _bad_time("drain_timeout_ms", settings.drain_timeout_ms)


def _bad_token(name: str, value: object, tokens: type[Enum]) -> Iterator[PipelineError]:
    known = [cast("str", token.value) for token in tokens]
    if value not in known:
        named = " or ".join(f"'{token}'" for token in known)
        fix = (did_you_mean(value, known) if isinstance(value, str) else None) or f"write {named}"
        yield _invalid(name, f"the setting '{name}' is {value!r}, not {named}", fix)


def _bad_time(name: str, value: object) -> Iterator[PipelineError]:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < TIME_LIMIT_MS:
        fix = "write a whole number of milliseconds"
        yield _invalid(name, f"the setting '{name}' is {value!r}, not a number of milliseconds", fix)


def _invalid(name: str, message: str, fix: str) -> PipelineError:
    return PipelineError("pipeline.invalid_setting", message, where=f"setting '{name}'", fix=fix)

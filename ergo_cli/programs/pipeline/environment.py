"""What environment variables set for a live run, over the program's settings (spec 60 §24).

The command line hands the variables over; a variable that is empty counts as unset, and each has an older name, which
is looked at where the first one is unset. A value that stands for nothing never ends a run: it is named in a notice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.diagnostics import Notice
from ergo_cli.programs.pipeline.modes import SourceContract, StartupMode
from ergo_cli.programs.pipeline.settings import TIME_LIMIT_MS, PipelineSettings

STARTUP = ("ERGO_PIPELINE_STARTUP_MODE", "OBZENFLOW_STARTUP_MODE")
SOURCE_CONTRACT = ("ERGO_SOURCE_CONTRACT_STRICT_MODE", "OBZENFLOW_SOURCE_CONTRACT_STRICT_MODE")
SHUTDOWN = ("ERGO_PIPELINE_SHUTDOWN_TIMEOUT_SECS", "OBZENFLOW_SHUTDOWN_TIMEOUT_SECS")
METRICS_DRAIN = ("ERGO_METRICS_DRAIN_TIMEOUT_MS", "OBZENFLOW_METRICS_DRAIN_TIMEOUT_MS")


class _Variable(Struct, frozen=True):
    """A variable that is set, by the name under which it was found."""

    name: str
    text: str

    def notice(self, what: str) -> Notice:
        """A warning about its value."""
        return Notice(f"{self.name} is {self.text!r}: {what}", where="environment")


def configured(settings: PipelineSettings, environment: Mapping[str, str]) -> PipelineSettings:
    """The settings of a live run, once the environment is looked at."""
    contract = _found(environment, SOURCE_CONTRACT)
    if contract is not None:
        settings = replace(settings, source_contract=SourceContract.of_variable(contract.text).value)
    shutdown = _found(environment, SHUTDOWN)
    shutdown_ms = None if shutdown is None else _milliseconds(shutdown.text)
    return settings if shutdown_ms is None else replace(settings, shutdown_timeout_ms=shutdown_ms)


def environment_notices(environment: Mapping[str, str]) -> Iterator[Notice]:
    """Name every variable whose value is not taken as it stands, or changes nothing under ergo."""
    startup = _found(environment, STARTUP)
    if startup is not None and StartupMode.of_variable(startup.text) is StartupMode.MANUAL:
        yield startup.notice("a manual start is for the library; ergo starts a pipeline with its first event")
    elif startup is not None and startup.text.lower() != StartupMode.AUTO.value:
        yield startup.notice("neither 'auto' nor 'manual'; taken as 'auto'")
    contract = _found(environment, SOURCE_CONTRACT)
    if contract is not None and contract.text.lower() not in {mode.value for mode in SourceContract}:
        yield contract.notice("neither 'abort' nor 'warn'; taken as 'abort'")
    shutdown = _found(environment, SHUTDOWN)
    if shutdown is not None and _milliseconds(shutdown.text) is None:
        yield shutdown.notice("not a whole number of seconds; passed over")
    metrics = _found(environment, METRICS_DRAIN)
    if metrics is not None:
        yield metrics.notice("changes nothing, since no aggregator of metrics runs")


def _found(environment: Mapping[str, str], names: tuple[str, str]) -> _Variable | None:
    return next((_Variable(name, text) for name in names if (text := environment.get(name))), None)


def _milliseconds(seconds: str) -> int | None:
    """A number of seconds in milliseconds; None for a text that is none, or too many."""
    if not (seconds.isascii() and seconds.isdigit()) or len(seconds) > len(str(TIME_LIMIT_MS)):
        return None
    milliseconds = int(seconds) * 1000
    return milliseconds if milliseconds < TIME_LIMIT_MS else None

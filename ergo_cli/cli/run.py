"""``ergo run``: run events through a program."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import (
    AcceptPlanChangeOption,
    AdapterOption,
    ArtifactsOption,
    ClusterPathOption,
    Color,
    ColorOption,
    ContinueOption,
    DeadlineOption,
    DriverArgOption,
    DriverCmdOption,
    DryRunOption,
    EgressConfigOption,
    EventsArgument,
    FailOnErrorOption,
    Format,
    FormatOption,
    FormatsOption,
    GraphOption,
    GuardOption,
    JournalOption,
    MaxDurationOption,
    MaxEventsOption,
    MaxInFlightOption,
    MaxInputOption,
    MaxPerWindowOption,
    MaxRetriesOption,
    NumbersOption,
    ProfileOption,
    ProgramOption,
    ProjectOption,
    QuietOption,
    RateWindowOption,
    RedactKeyFileOption,
    RedactOption,
    StoreOption,
    VerboseOption,
    VersionOption,
    driver_command,
)

if TYPE_CHECKING:
    from ergo_cli.report.command_result import CommandResult

CaptureOption = Annotated[
    Path | None,
    typer.Option("--capture", metavar="BUNDLE", readable=False, help="Keep a bundle here; - is standard output."),
]


def run(
    events: EventsArgument = None,
    graph: GraphOption = None,
    program: ProgramOption = None,
    adapter: AdapterOption = None,
    cluster_path: ClusterPathOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    capture: CaptureOption = None,
    fail_on_error: FailOnErrorOption = False,
    numbers: NumbersOption = None,
    formats: FormatsOption = False,
    redact: RedactOption = None,
    redact_key_file: RedactKeyFileOption = None,
    guard: GuardOption = False,
    driver_cmd: DriverCmdOption = None,
    driver_arg: DriverArgOption = None,
    egress_config: EgressConfigOption = None,
    dry_run: DryRunOption = False,
    max_events: MaxEventsOption = None,
    max_duration: MaxDurationOption = None,
    journal: JournalOption = None,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
    continue_: ContinueOption = False,
    accept_plan_change: AcceptPlanChangeOption = False,
    max_in_flight: MaxInFlightOption = None,
    max_per_window: MaxPerWindowOption = None,
    rate_window: RateWindowOption = None,
    deadline: DeadlineOption = None,
    max_retries: MaxRetriesOption = None,
    max_input: MaxInputOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Run events through a program."""
    from ergo_cli.cli.session import Session, run_and_report
    from ergo_cli.host.perform import KeepRequest
    from ergo_cli.host.run_plan import Bounds, Limits, RunRequest
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.project.redaction import RedactFlags

    session = Session("run", form, color, quiet=quiet, verbose=verbose, max_input=max_input, output=capture)
    flags = ProgramFlags(graph, program, adapter, tuple(cluster_path or ()), profile, project, guard)
    limits = Limits(max_in_flight, max_per_window, rate_window, deadline, max_retries)
    bounds = Bounds(max_events, max_duration)
    keep = None if capture is None else KeepRequest(capture, continues=continue_)

    def work() -> CommandResult:
        driver = driver_command(driver_cmd, driver_arg)
        request = RunRequest(
            flags,
            events,
            driver,
            egress_config,
            limits,
            bounds,
            numbers,
            store,
            artifacts,
            accept_plan_change,
            environment=dict(os.environ),
            dry_run=dry_run,
            formats=formats,
            redact=RedactFlags(tuple(redact or ()), redact_key_file),
        )
        return run_and_report("run", session, request, keep, journal, fail_on_error=fail_on_error)

    return session.conclude(work)

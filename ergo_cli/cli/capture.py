"""``ergo capture``: run events and write a bundle."""

from __future__ import annotations

import os
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
    OutputOption,
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
    from pathlib import Path

    from ergo_cli.report.command_result import CommandResult

PrettyOption = Annotated[bool | None, typer.Option("--pretty/--compact", help="Indented, or as short as can be.")]
EmbedOption = Annotated[bool | None, typer.Option("--embed", help="Put the program's texts into the bundle (v4).")]
VerifyOption = Annotated[
    bool, typer.Option("--verify", help="Keep the bundle only if it replays in another process and surroundings.")
]


def capture(
    events: EventsArgument = None,
    output: OutputOption = None,
    graph: GraphOption = None,
    program: ProgramOption = None,
    adapter: AdapterOption = None,
    cluster_path: ClusterPathOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    pretty: PrettyOption = None,
    embed: EmbedOption = None,
    verify: VerifyOption = False,
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
    """Run, and keep everything that decided the outcome."""
    from ergo_cli.cli.session import Session, run_and_report
    from ergo_cli.host.perform import KeepRequest
    from ergo_cli.host.run_plan import Bounds, Limits, RunRequest
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.project.redaction import RedactFlags

    session = Session("capture", form, color, quiet=quiet, verbose=verbose, max_input=max_input, output=output)
    flags = ProgramFlags(graph, program, adapter, tuple(cluster_path or ()), profile, project, guard)
    limits = Limits(max_in_flight, max_per_window, rate_window, deadline, max_retries)
    bounds = Bounds(max_events, max_duration)
    keep = KeepRequest(output, pretty, embed, continue_, is_beside=verify)

    def work() -> CommandResult:
        if verify:
            _check_is_file(output)
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
        return run_and_report("capture", session, request, keep, journal, fail_on_error=fail_on_error)

    return session.conclude(work)


def _check_is_file(output: Path | None) -> None:
    """Raise UsageError for standard output: what was written there cannot be taken back."""
    from ergo_cli.errors import UsageError
    from ergo_cli.stores.standard_output import STANDARD_OUTPUT

    if output is not None and str(output) == STANDARD_OUTPUT:
        message = "--verify keeps only a bundle that holds, and what is on standard output is out of reach"
        fix = "name a file with --output, or leave --verify out"
        raise UsageError("cli.conflicting_options", message, where="option --verify", fix=fix)

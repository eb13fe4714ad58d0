"""``ergo run``: events in, decisions and effects out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.options import (
    AdapterOption,
    ClusterPathOption,
    Color,
    ColorOption,
    DeadlineOption,
    EventsArgument,
    FailOnErrorOption,
    Format,
    FormatOption,
    GraphOption,
    MaxInFlightOption,
    MaxPerWindowOption,
    MaxRetriesOption,
    NumbersOption,
    ProfileOption,
    ProgramOption,
    ProjectOption,
    QuietOption,
    RateWindowOption,
    VerboseOption,
    VersionOption,
)

if TYPE_CHECKING:
    from ergo_cli.report.told import Told

CaptureOption = Annotated[
    Path | None, typer.Option("--capture", metavar="BUNDLE", readable=False, help="Keep a bundle here.")
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
    max_in_flight: MaxInFlightOption = None,
    max_per_window: MaxPerWindowOption = None,
    rate_window: RateWindowOption = None,
    deadline: DeadlineOption = None,
    max_retries: MaxRetriesOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Run events through a program."""
    from ergo_cli.cli.running import run_and_tell
    from ergo_cli.cli.session import Session
    from ergo_cli.host.capturing import KeepRequest, Limits, RunRequest
    from ergo_cli.project.finding import ProgramFlags

    session = Session("run", form, color, quiet=quiet, verbose=verbose)
    flags = ProgramFlags(graph, program, adapter, tuple(cluster_path or ()), profile, project)
    limits = Limits(max_in_flight, max_per_window, rate_window, deadline, max_retries)
    request = RunRequest(flags, events, limits, numbers)
    keep = None if capture is None else KeepRequest(capture)

    def work() -> Told:
        return run_and_tell("run", session, request, keep, fail_on_error=fail_on_error)

    return session.conclude(work)

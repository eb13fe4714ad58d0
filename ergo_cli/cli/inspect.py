"""``ergo inspect``: show the content of a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import (
    Color,
    ColorOption,
    Format,
    FormatOption,
    MaxInputOption,
    ProfileOption,
    ProjectOption,
    QuietOption,
    VerboseOption,
    VersionOption,
)

if TYPE_CHECKING:
    from ergo_cli.report.command_result import CommandResult

BundleArgument = Annotated[str, typer.Argument(metavar="BUNDLE", help="The bundle.")]


def inspect(
    bundle: BundleArgument,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    max_input: MaxInputOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Say what is in a bundle, and whether its program can be found."""
    from msgspec.structs import replace

    from ergo_cli.bundle.inspection import inspect_bundle
    from ergo_cli.bundle.reader import open_bundle
    from ergo_cli.cli.session import Session
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.project.store import ProgramStore
    from ergo_cli.replay.session import found_by
    from ergo_cli.report.tool_results import render_inspection

    session = Session("inspect", form, color, quiet=quiet, verbose=verbose, max_input=max_input)
    flags = ProgramFlags(profile=profile, project=project)

    def work() -> CommandResult:
        with open_bundle(bundle) as reader:
            rule = found_by(reader, flags, ProgramStore.of_user())
            return render_inspection(replace(inspect_bundle(reader), found_by=rule))

    return session.conclude(work)

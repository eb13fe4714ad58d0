"""``ergo bisect``: the commit of a git repository with which a bundle began to differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import (
    AdapterOption,
    ClusterPathOption,
    Color,
    ColorOption,
    Format,
    FormatOption,
    GraphOption,
    IgnoreOption,
    ListOption,
    MaxInputOption,
    NumbersOption,
    ProfileOption,
    ProgramOption,
    ProjectOption,
    QuietOption,
    VerboseOption,
    VersionOption,
    duration_option,
)
from ergo_cli.cli.explain import BundleArgument

if TYPE_CHECKING:
    from collections.abc import Callable

    from ergo_cli.report.command_result import CommandResult
    from ergo_cli.tools.git_repository import Commit
    from ergo_cli.tools.past_replays import Replayed

GoodOption = Annotated[
    str | None, typer.Option("--good", metavar="REV", help="A commit at which the bundle held; else one is looked for.")
]
BadOption = Annotated[str | None, typer.Option("--bad", metavar="REV", help="A commit at which it differs; else HEAD.")]
AnyOption = Annotated[
    bool, typer.Option("--any", help="Any divergence counts, not only one like the first of the bad commit.")
]
TimeoutOption = Annotated[int | None, duration_option("--timeout", "The time that one replay may take; else 5m.")]


def bisect(
    bundle: BundleArgument,
    good: GoodOption = None,
    bad: BadOption = None,
    any_divergence: AnyOption = False,
    graph: GraphOption = None,
    program: ProgramOption = None,
    adapter: AdapterOption = None,
    cluster_path: ClusterPathOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    ignore: IgnoreOption = None,
    numbers: NumbersOption = None,
    timeout: TimeoutOption = None,
    listed: ListOption = False,
    max_input: MaxInputOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Find the commit of a git repository with which a bundle began to differ, and what it changed."""
    from ergo_cli.cli.session import Session
    from ergo_cli.cli.usage import refuse_standard_input
    from ergo_cli.core.diagnostics import counted
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.report.bisection import render_bisection
    from ergo_cli.tools.bisecting import TIMEOUT_NS, BisectRequest
    from ergo_cli.tools.bisecting import bisect as find_commit

    session = Session("bisect", form, color, quiet=quiet, verbose=verbose, max_input=max_input)
    flags = ProgramFlags(graph, program, adapter, tuple(cluster_path or ()), profile, project)
    options = [word for pattern in ignore or () for word in ("--ignore", pattern)]
    options += [] if numbers is None else ["--numbers", numbers.value]
    options += [] if max_input is None else ["--max-input", str(max_input)]

    def note(commit: Commit, found: Replayed, count: Callable[[], None] | None) -> None:
        if count is not None:
            count()
        differing = counted(len(found.differences), "difference") if found.differences else "matches"
        session.note(f"{commit.short}  {commit.subject}: {differing if found.fault is None else found.fault.message}")

    def work() -> CommandResult:
        refuse_standard_input(bundle)
        limit = TIMEOUT_NS if timeout is None else timeout
        request = BisectRequest(bundle, flags, good, bad, any_divergence, tuple(options), limit)
        with session.progress("bisect", counts="replay") as on_replay:
            found = find_commit(request, lambda commit, replayed: note(commit, replayed, on_replay))
        return render_bisection(bundle, found, listed=listed)

    return session.conclude(work)

"""``ergo replay``: prove that a program still decides what was recorded."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import (
    MOST_LISTED,
    AdapterOption,
    ClusterPathOption,
    Color,
    ColorOption,
    GraphOption,
    GuardOption,
    IgnoreOption,
    JobsOption,
    ListOption,
    MaxDivergencesOption,
    MaxInputOption,
    NumbersOption,
    ProfileOption,
    ProgramOption,
    ProjectOption,
    QuietOption,
    VerboseOption,
    VersionOption,
    place_option,
)
from ergo_cli.cli.fail_on import FailOnOption
from ergo_cli.cli.report_options import ReportFormatOption, ReportOption
from ergo_cli.core.levels import FailOn
from ergo_cli.core.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ergo_cli.replay.results import Window
    from ergo_cli.replay.session import ReplayRequest
    from ergo_cli.report.command_result import CommandResult

BundlesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[BUNDLE]...", help="Bundles, folders, globs; else those of the project.")
]
FromOption = Annotated[int | None, place_option("--from", "N", "The first decision that is compared, from 0.")]
UntilOption = Annotated[int | None, place_option("--until", "N", "The last decision that is compared.")]
OnlyEventOption = Annotated[
    str | None, typer.Option("--event", metavar="ID", help="The event whose decision alone is compared.")
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Refuse a program or an adapter that changed.")]


_DIGITS = 9
"""How many digits a number of shards may have."""


def _shard(text: str) -> Shard:
    index, _, count = str(text).partition("/")
    if not all(each.isascii() and each.isdecimal() and len(each) <= _DIGITS for each in (index, count)):
        raise typer.BadParameter(f"'{text[:40]}' is not I/N, the number of a shard and that of all, such as 2/4")
    if not 1 <= int(index) <= int(count):
        raise typer.BadParameter(f"there is no shard {text}: the shards of {count} are 1/{count} to {count}/{count}")
    return Shard(int(index), int(count))


ShardOption = Annotated[
    Shard | None,
    typer.Option(
        "--shard",
        parser=_shard,
        metavar="I/N",
        help="Replay one of N parts of the bundles: by file names.",
    ),
]


def replay(
    bundles: BundlesArgument = None,
    strict: StrictOption = False,
    graph: GraphOption = None,
    program: ProgramOption = None,
    adapter: AdapterOption = None,
    cluster_path: ClusterPathOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    ignore: IgnoreOption = None,
    fail_on: FailOnOption = FailOn.ANY,
    max_divergences: MaxDivergencesOption = MOST_LISTED,
    first: FromOption = None,
    last: UntilOption = None,
    event: OnlyEventOption = None,
    shard: ShardOption = None,
    listed: ListOption = False,
    jobs: JobsOption = 1,
    numbers: NumbersOption = None,
    guard: GuardOption = False,
    max_input: MaxInputOption = None,
    form: ReportFormatOption = "text",
    reports: ReportOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Drive the program again from bundles and compare."""
    from datetime import datetime

    from ergo_cli.cli.session import Done, Session
    from ergo_cli.cli.streams import is_terminal
    from ergo_cli.cli.usage import refuse_second_standard_input
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.project.store import ProgramStore
    from ergo_cli.replay.expected import unmet
    from ergo_cli.replay.results import BundleResult, Outcome
    from ergo_cli.replay.selection import select_bundles
    from ergo_cli.replay.session import ReplayRequest, ReplaySession
    from ergo_cli.replay.shards import of_shard
    from ergo_cli.report.comparisons import REPLAY, Shown, render_comparison
    from ergo_cli.stores.files import STANDARD_INPUT

    session = Session("replay", form, color, quiet=quiet, verbose=verbose, max_input=max_input, reports=reports or ())
    flags = ProgramFlags(graph, program, adapter, tuple(cluster_path or ()), profile, project, guard)

    def work() -> CommandResult:
        begun = monotonic()
        window = _window(first, last, event)
        patterns = None if ignore is None else tuple(ignore)
        today = datetime.now().date()
        request = ReplayRequest(flags, strict, patterns, max_divergences, numbers, window, fail_on, today)
        replays = ReplaySession(request, ProgramStore.of_user(), monotonic)
        refuse_second_standard_input(bundles or ())
        selection = select_bundles(bundles or (), profile, project, strict=strict)
        part = None if shard is None else of_shard(selection, shard)
        selection = selection if part is None else part.selection
        paths = selection.bundles
        results: list[BundleResult] = []
        with session.progress("replay", lambda: Done(len(results), len(paths), "bundles")) as on_event:
            workers = 1 if STANDARD_INPUT in (bundles or ()) else min(jobs, len(paths))  # workers have none
            if workers > 1:
                from ergo_cli.replay.parallel import (
                    replay_in_parallel,
                )  # starting processes costs more than replaying one bundle

                found = replay_in_parallel(replays, paths, workers, on_event)
            else:
                found = replays.results(paths, on_event)
            for result in found:
                results.append(result)  # one by one: the progress counts them
        for result in results:
            if result.found_by is not None:
                session.note(f"{result.path}: program '{result.graph_id}' found by {result.found_by}")
        results += (BundleResult(each.path, Outcome.REFUSED, each.error) for each in selection.refusals)
        seconds = monotonic() - begun if is_terminal(sys.stdout) else None  # what is kept does not depend on time
        options = (*flags.words, *_words(request))
        document = None
        if shard is not None and part is not None:
            from ergo_cli.report.shard_results import ShardResults, placed_results, request_of, shard_document

            asked = request_of(flags.words, options, max_divergences, part.every, _project_text(project))
            expected = placed_results(results, part.places)
            kept = ShardResults(asked, selection.notices, selection.searched, replays.matched(), *expected)
            document = shard_document(shard.number, shard.total, len(part.every), kept)
        shown = Shown(listed, verbose, seconds, flags.words, options, accepts=True, shard=document)
        notices = selection.notices + replays.notices()
        due = unmet(results) if any(result.expects for result in results) else ()
        return render_comparison("replay", results, REPLAY, notices, shown, selection.searched, due)

    return session.conclude(work)


def _project_text(named: Path | None) -> bytes:
    """The file of the project that is named, or found from the current folder upwards; empty where there is none."""
    from pathlib import Path

    from ergo_cli.project.project_file import find_project

    project = find_project(Path.cwd() if named is None else named)
    return b"" if project is None else project.file.read_bytes()


def _words(request: ReplayRequest) -> Iterator[str]:
    """The options of a request besides those of its program, as words of a command line."""
    if request.strict:
        yield "--strict"
    for pattern in request.ignore or ():
        yield from ("--ignore", pattern)
    if request.numbers is not None:
        yield from ("--numbers", request.numbers.value)
    if request.fail_on is not FailOn.ANY:
        yield from ("--fail-on", request.fail_on.value)
    window = request.window
    for option, value in (("--from", window.first), ("--until", window.last), ("--event", window.event)):
        if value is not None:
            yield f"{option}={value}"
    if request.flags.guard:
        yield "--guard"


def _window(first: int | None, last: int | None, event: str | None) -> Window:
    """The decisions that are compared. Raises UsageError for a window without any, or given twice."""
    from ergo_cli.errors import UsageError
    from ergo_cli.replay.results import Window

    if event is not None and (first is not None or last is not None):
        message = "--event names one decision, --from and --until name others"
        raise UsageError("cli.conflicting_options", message, where="option --event", fix="leave one of them out")
    if first is not None and last is not None and last < first:
        message = f"no decision lies from {first} on and until {last}"
        raise UsageError("cli.invalid_option_value", message, where="option --until", fix=f"give {first} or more")
    return Window(first, last, event)

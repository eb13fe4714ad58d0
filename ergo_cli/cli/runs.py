"""``ergo runs``: list, show, resume, fork and move the runs of stateful programs in a store."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ergo_cli.cli.commands import (
    AcceptPlanChangeOption,
    ArtifactsOption,
    Color,
    ColorOption,
    Format,
    FormatOption,
    ProfileOption,
    ProgramOption,
    ProjectOption,
    QuietOption,
    StoreOption,
    VerboseOption,
    VersionOption,
    duration_option,
    place_option,
)

if TYPE_CHECKING:
    from ergo_cli.cli.session import Session
    from ergo_cli.errors import ErgoError
    from ergo_cli.programs.runs import ListedRun, Standing
    from ergo_cli.project.profiles import NamedStore, RunFlags
    from ergo_cli.report.command_result import CommandResult


def _run_id(text: str) -> str:
    from ergo_cli.host.kept_runs import is_run_id

    if not is_run_id(text):
        raise typer.BadParameter("a run id is a text without control characters")
    return text


class Status(Enum):
    """The statuses that ``runs list`` can be limited to."""

    EMPTY = "empty"
    ACTIVE = "active"
    BLOCKED = "blocked"
    FAILED = "failed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


StatusOption = Annotated[
    Status | None, typer.Option("--status", case_sensitive=False, help="List only the runs of this status.")
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", parser=_run_id, help="The run's id.")]
ValueOption = Annotated[
    str | None, typer.Option("--value", metavar="JSON", help="What the run is given; null if left out.")
]
PayloadOption = Annotated[
    str | None,
    typer.Option("--payload", metavar="JSON", help="The payload the run began with, if the store does not tell."),
]
RebuildOption = Annotated[bool, typer.Option("--rebuild", help="Drop the snapshots; the state is folded anew.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Resume a run that does not wait.")]
AtOption = Annotated[int, place_option("--at", "SEQ", "The last event that is taken over.")]
AsOption = Annotated[str, typer.Option("--as", parser=_run_id, metavar="NEW_RUN", help="The id of the new run.")]
ExportedArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN]... [DIR]",
        help="With -o: the runs, all of the store without any. With --as: a run, and the folder its files go below.",
        show_default=False,
    ),
]
ArchiveOption = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE", readable=False, help="Write the runs to one file, for ergo runs import."
    ),
]
ArchiveArgument = Annotated[str, typer.Argument(metavar="FILE", help="What ergo runs export -o wrote.")]
AsFormOption = Annotated[
    str | None, typer.Option("--as", metavar="FORM", help="Write one run as files of this form: obzenflow.")
]
WaitOption = Annotated[
    int | None, duration_option("--wait", "How long its driver may take to end it: 500ms, 10s (default), 5m.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Remove nothing; say what would be removed.")]
GraceOption = Annotated[
    int | None, duration_option("--grace", "How young an artifact is kept in any case: 0s, 5m, 1h (default).")
]
AlsoOption = Annotated[
    list[str] | None,
    typer.Option("--also", metavar="STORE", help="A further store whose artifacts are in the same folder; repeatable."),
]
EventOption = Annotated[str | None, typer.Option("--event", metavar="JSON", help="An event to follow it.")]


def list_(
    status: StatusOption = None,
    store: StoreOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """List the runs of a store and where they stand."""
    from ergo_cli.cli.session import Session
    from ergo_cli.core.diagnostics import Notice
    from ergo_cli.host.kept_runs import list_runs
    from ergo_cli.programs.runs import Standing
    from ergo_cli.project.profiles import RunFlags
    from ergo_cli.report.kept_runs import LIST, render_run_list

    session = Session(LIST, form, color, quiet=quiet, verbose=verbose)
    flags = RunFlags(store, None, profile, project)
    wanted = None if status is None else Standing[status.name]

    def work(named: NamedStore) -> CommandResult:
        broken: list[ErgoError] = []
        runs = _of_status(list_runs(named, broken.append), wanted)
        return render_run_list(runs, [Notice(each.message, each.where) for each in broken])

    return session.conclude(lambda: _on_store(session, flags, work))


def show(
    run: RunArgument,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Show where a run stands, what it waits for and what happened last."""
    from ergo_cli.cli.session import Session
    from ergo_cli.host.kept_runs import show_run
    from ergo_cli.project.profiles import RunFlags
    from ergo_cli.report.kept_runs import SHOW, render_run_state

    session = Session(SHOW, form, color, quiet=quiet, verbose=verbose)
    flags = RunFlags(store, None, profile, project, artifacts)

    def work(named: NamedStore) -> CommandResult:
        return render_run_state(show_run(named, run))

    return session.conclude(lambda: _on_store(session, flags, work))


def timeline(
    run: RunArgument,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Tell a run event by event."""
    from ergo_cli.cli.session import Session
    from ergo_cli.host.kept_runs import with_run
    from ergo_cli.project.profiles import RunFlags
    from ergo_cli.report.kept_runs import TIMELINE, render_timeline

    session = Session(TIMELINE, form, color, quiet=quiet, verbose=verbose)
    flags = RunFlags(store, None, profile, project, artifacts)

    def work(named: NamedStore) -> CommandResult:
        return render_timeline(with_run(named, run, lambda tools, store: tools.timeline(store, run)))

    return session.conclude(lambda: _on_store(session, flags, work))


def resume(
    run: RunArgument,
    value: ValueOption = None,
    rebuild: RebuildOption = False,
    force: ForceOption = False,
    accept_plan_change: AcceptPlanChangeOption = False,
    payload: PayloadOption = None,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
    program: ProgramOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Give a run what it waits for, or let one that was broken off go on."""
    from msgspec import UNSET

    from ergo_cli.cli.session import Session
    from ergo_cli.host.kept_runs import resume_run
    from ergo_cli.programs.runs import Resumption
    from ergo_cli.project.finding import find_run_program
    from ergo_cli.project.profiles import RunFlags
    from ergo_cli.report.kept_runs import RESUME, render_resumption

    session = Session(RESUME, form, color, quiet=quiet, verbose=verbose)
    flags = RunFlags(store, program, profile, project, artifacts)

    def work() -> CommandResult:
        asked = Resumption(
            answer=UNSET if value is None else _json(value, "--value"),
            payload=UNSET if payload is None else _json(payload, "--payload"),
            rebuild=rebuild,
            force=force,
            accept_plan_change=accept_plan_change,
        )
        found = find_run_program(flags)
        session.note(f"the run goes on by program '{found.ref}'")
        return _on_store(session, flags, lambda named: render_resumption(resume_run(named, found, run, asked)))

    return session.conclude(work)


def fork(
    run: RunArgument,
    at: AtOption,
    branch: AsOption,
    event: EventOption = None,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Make a run of the first events of another, and of an event that did not happen there."""
    from msgspec import UNSET

    from ergo_cli.cli.session import Session
    from ergo_cli.host.kept_runs import with_run
    from ergo_cli.project.profiles import RunFlags
    from ergo_cli.report.kept_runs import FORK, render_fork

    session = Session(FORK, form, color, quiet=quiet, verbose=verbose)
    flags = RunFlags(store, None, profile, project, artifacts)

    def work() -> CommandResult:
        alternate = UNSET if event is None else _json(event, "--event")

        def forked(named: NamedStore) -> CommandResult:
            fork = with_run(named, run, lambda tools, store: tools.fork(store, run, at, branch, alternate), "fork")
            return render_fork(fork)

        return _on_store(session, flags, forked)

    return session.conclude(work)


def cancel(
    run: RunArgument,
    wait: WaitOption = None,
    store: StoreOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """End a run as cancelled; a process that drives it is asked, and waited for."""
    from ergo_cli.cli.session import Session
    from ergo_cli.host.kept_runs import CANCEL_PATIENCE, cancel_run
    from ergo_cli.project.profiles import RunFlags
    from ergo_cli.report.kept_runs import CANCEL, render_cancellation

    session = Session(CANCEL, form, color, quiet=quiet, verbose=verbose)
    flags = RunFlags(store, None, profile, project)
    patience = CANCEL_PATIENCE if wait is None else wait
    return session.conclude(
        lambda: _on_store(session, flags, lambda named: render_cancellation(cancel_run(named, run, patience)))
    )


def export(
    runs: ExportedArgument = None,
    output: ArchiveOption = None,
    as_form: AsFormOption = None,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Write runs to a file that another store takes them from, or one run as files of another form."""
    from ergo_cli.cli.session import Session
    from ergo_cli.project.profiles import RunFlags
    from ergo_cli.report.kept_runs import EXPORT

    session = Session(EXPORT, form, color, quiet=quiet, verbose=verbose, output=output)
    flags = RunFlags(store, None, profile, project, artifacts)

    def work(named: NamedStore) -> CommandResult:
        if as_form is None:
            return _archived(named, runs or [], output)
        return _exported_as(named, runs or [], output, as_form)

    return session.conclude(lambda: _on_store(session, flags, work))


def _archived(named: NamedStore, runs: list[str], output: str | None) -> CommandResult:
    from ergo_cli.errors import UsageError
    from ergo_cli.host.moved_runs import export_runs
    from ergo_cli.report.kept_runs import render_archive

    if output is None:
        fix = "name a file with -o, or the form of a folder with --as"
        message = "runs export needs -o FILE, or --as FORM"
        raise UsageError("cli.missing_required_option", message, where="option --output", fix=fix)
    return render_archive(output, export_runs(named, [_run_id(run) for run in runs], output))


def _exported_as(named: NamedStore, runs: list[str], output: str | None, form: str) -> CommandResult:
    from ergo_cli.errors import UsageError
    from ergo_cli.host.kept_runs import export_run
    from ergo_cli.report.kept_runs import render_export

    if output is not None:
        message = "--as writes a folder, -o one file for ergo runs import"
        fix = "leave one of them out"
        raise UsageError("cli.conflicting_options", message, where="options --as and -o", fix=fix)
    if len(runs) != 2:
        fix = "write: ergo runs export RUN DIR --as FORM"
        message = "runs export --as needs a run and a folder"
        raise UsageError("cli.missing_required_option", message, where="arguments RUN and DIR", fix=fix)
    run, folder = runs
    return render_export(export_run(named, _run_id(run), form, folder))


def import_(
    file: ArchiveArgument,
    store: StoreOption = None,
    artifacts: ArtifactsOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Take runs that another store has exported into a store."""
    from ergo_cli.cli.session import Session
    from ergo_cli.host.moved_runs import import_runs
    from ergo_cli.project.profiles import RunFlags
    from ergo_cli.report.kept_runs import IMPORT, render_import

    session = Session(IMPORT, form, color, quiet=quiet, verbose=verbose)
    flags = RunFlags(store, None, profile, project, artifacts)
    return session.conclude(
        lambda: _on_store(session, flags, lambda named: render_import(file, import_runs(named, file)))
    )


def gc(
    dry_run: DryRunOption = False,
    grace: GraceOption = None,
    also: AlsoOption = None,
    store: StoreOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Remove the artifacts of a store that no run names."""
    from ergo_cli.cli.session import Session
    from ergo_cli.host.artifact_sweep import SWEEP_GRACE_MS, sweep_artifacts
    from ergo_cli.project.profiles import RunFlags
    from ergo_cli.report.sweeps import GC, render_sweep

    session = Session(GC, form, color, quiet=quiet, verbose=verbose)
    flags = RunFlags(store, None, profile, project)
    grace_ms = SWEEP_GRACE_MS if grace is None else grace // 10**6

    def work(named: NamedStore) -> CommandResult:
        return render_sweep(sweep_artifacts(named, also or (), grace_ms=grace_ms, is_dry=dry_run))

    return session.conclude(lambda: _on_store(session, flags, work))


def _of_status(runs: list[ListedRun], wanted: Standing | None) -> list[ListedRun]:
    """The runs of one status, and those that cannot be read, whose status is unknown."""
    return [run for run in runs if wanted is None or run.standing in (wanted, None)]


def _on_store(session: Session, flags: RunFlags, work: Callable[[NamedStore], CommandResult]) -> CommandResult:
    """The result of ``work`` on the store that the flags or a profile name."""
    from ergo_cli.project.profiles import find_run_store

    named = find_run_store(flags)
    session.note(f"the store was found by {named.rule}")
    return work(named)


def _json(text: str, option: str) -> Any:
    from ergo_cli.core.json import decode

    try:
        return decode(text.encode())
    except ValueError as error:
        raise _unfit(option, f"is not JSON: {error}") from error


def _unfit(option: str, what: str) -> Exception:
    from ergo_cli.errors import UsageError

    fix = "texts stand in quotes of their own: '\"yes\"'"
    return UsageError("cli.invalid_option_value", f"the value of {option} {what}", where=f"option {option}", fix=fix)

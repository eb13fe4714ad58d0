"""``ergo runs``: the runs of stateful programs in a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ergo_cli.cli.options import (
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
)

if TYPE_CHECKING:
    from ergo_cli.cli.session import Session
    from ergo_cli.project.run_store import RunFlags
    from ergo_cli.report.told import Told
    from ergo_cli.stores.locating import RunStore


def _run_id(text: str) -> str:
    from ergo_cli.programs.kernel.run_ids import is_run_id

    if not is_run_id(text):
        raise typer.BadParameter("a run id is a text without control characters")
    return text


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
AtOption = Annotated[int, typer.Option("--at", min=0, metavar="SEQ", help="The last event that is taken over.")]
AsOption = Annotated[str, typer.Option("--as", parser=_run_id, metavar="NEW_RUN", help="The id of the new run.")]
EventOption = Annotated[str | None, typer.Option("--event", metavar="JSON", help="An event to follow it.")]


def list_(
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
    from ergo_cli.host.runs.listing import list_runs
    from ergo_cli.project.run_store import RunFlags
    from ergo_cli.report.kept_runs import LIST, runs_listed

    session = Session(LIST, form, color, quiet=quiet, verbose=verbose)
    flags = RunFlags(store, None, profile, project)
    return session.conclude(lambda: _with_store(session, flags, lambda opened: runs_listed(list_runs(opened))))


def show(
    run: RunArgument,
    store: StoreOption = None,
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
    from ergo_cli.host.runs.showing import show_run
    from ergo_cli.project.run_store import RunFlags
    from ergo_cli.report.kept_runs import SHOW, run_shown

    session = Session(SHOW, form, color, quiet=quiet, verbose=verbose)
    flags = RunFlags(store, None, profile, project)
    return session.conclude(lambda: _with_store(session, flags, lambda opened: run_shown(show_run(opened, run))))


def timeline(
    run: RunArgument,
    store: StoreOption = None,
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
    from ergo_cli.host.runs.showing import time_run
    from ergo_cli.project.run_store import RunFlags
    from ergo_cli.report.kept_runs import TIMELINE, run_timed

    session = Session(TIMELINE, form, color, quiet=quiet, verbose=verbose)
    flags = RunFlags(store, None, profile, project)
    return session.conclude(lambda: _with_store(session, flags, lambda opened: run_timed(time_run(opened, run))))


def resume(
    run: RunArgument,
    value: ValueOption = None,
    rebuild: RebuildOption = False,
    force: ForceOption = False,
    payload: PayloadOption = None,
    store: StoreOption = None,
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
    from ergo_cli.host.runs.resuming import Resumption, resume_run
    from ergo_cli.programs.kernel.signals import Resume
    from ergo_cli.project.run_store import RunFlags, find_run_program
    from ergo_cli.report.kept_runs import RESUME, run_resumed

    session = Session(RESUME, form, color, quiet=quiet, verbose=verbose)
    flags = RunFlags(store, program, profile, project)

    def work() -> Told:
        asked = Resumption(
            answer=None if value is None else Resume(_json(value, "--value")),
            payload=UNSET if payload is None else _json(payload, "--payload"),
            rebuild=rebuild,
            force=force,
        )
        found = find_run_program(flags)
        session.note(f"the run goes on by program '{found.ref}'")
        return _with_store(session, flags, lambda opened: run_resumed(resume_run(opened, found.program, run, asked)))

    return session.conclude(work)


def fork(
    run: RunArgument,
    at: AtOption,
    branch: AsOption,
    event: EventOption = None,
    store: StoreOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Make a run of the first events of another, and of an event that did not happen there."""
    from ergo_cli.cli.session import Session
    from ergo_cli.host.runs.forking import fork_run
    from ergo_cli.programs.kernel.fork import TimelineFork
    from ergo_cli.project.run_store import RunFlags
    from ergo_cli.report.kept_runs import FORK, run_forked

    session = Session(FORK, form, color, quiet=quiet, verbose=verbose)
    flags = RunFlags(store, None, profile, project)

    def work() -> Told:
        branching = TimelineFork(run, branch, at, None if event is None else _event(event))
        return _with_store(session, flags, lambda opened: run_forked(fork_run(opened, branching)))

    return session.conclude(work)


def _with_store(session: Session, flags: RunFlags, tell: Callable[[RunStore], Told]) -> Told:
    """What ``tell`` says of the store that is meant, which must be there already."""
    from ergo_cli.host.runs.opening import open_runs
    from ergo_cli.project.run_store import find_run_store

    named = find_run_store(flags)
    session.note(f"the store was found by {named.rule}")
    with open_runs(named) as opened:
        return tell(opened)


def _event(text: str) -> Any:
    from ergo_cli.programs.kernel import wire
    from ergo_cli.programs.kernel.events import Event

    try:
        return wire.read(_json(text, "--event"), Event)
    except wire.WireError as error:
        raise _unfit("--event", f"is no event: {error}") from error


def _json(text: str, option: str) -> Any:
    from ergo_cli.core.json import decode

    try:
        return decode(text.encode())
    except ValueError as error:
        raise _unfit(option, f"is no JSON: {error}") from error


def _unfit(option: str, what: str) -> Exception:
    from ergo_cli.errors import UsageError

    fix = "texts stand in quotes of their own: '\"yes\"'"
    return UsageError("cli.invalid_option_value", f"the value of {option} {what}", where=f"option {option}", fix=fix)

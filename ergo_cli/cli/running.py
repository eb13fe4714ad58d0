"""What ``run`` and ``capture`` have in common: one run, stopped in an orderly way if somebody asks for it, told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ergo_cli.cli.interruption import requesting_stop
from ergo_cli.cli.session import Session
from ergo_cli.errors import EventError, UsageError
from ergo_cli.host.capturing import KeepRequest, RunOptions, perform
from ergo_cli.host.channels.process import kill_all
from ergo_cli.host.planning import RunRequest, plan_run
from ergo_cli.host.stopping import StopHandle
from ergo_cli.report.exit_codes import INTERRUPTED
from ergo_cli.report.runs import run_told
from ergo_cli.report.told import Told, refusal


def driver_command(program: str | None, arguments: Sequence[str] | None) -> tuple[str, ...] | None:
    """The command line of ``--driver-cmd`` and ``--driver-arg``. Raises UsageError for arguments without program."""
    if program is not None:
        return (program, *(arguments or ()))
    if arguments:
        message = "--driver-arg is an argument of a driver program, and there is none"
        fix = "name the program with --driver-cmd PROGRAM"
        raise UsageError("cli.missing_required_option", message, where="option --driver-cmd", fix=fix)
    return None


def run_and_tell(
    command: str,
    session: Session,
    request: RunRequest,
    keep: KeepRequest | None,
    journal: Path | None,
    *,
    fail_on_error: bool,
) -> Told:
    """Run what is asked for, keep a bundle if ``keep`` says how, and say what came of it.

    The first SIGINT or SIGTERM stops the run after the current step, the second at once, with all channel processes.
    """
    plan = plan_run(request)
    session.note(f"program '{plan.found.program.graph_id}' found by {plan.found.rule}")
    session.warn(plan.notices)
    stop = StopHandle()
    try:
        with session.progress(command) as on_step, requesting_stop(stop.stop, kill_all):
            result = perform(plan, keep, on_step, RunOptions(stop, journal))
    except EventError as error:
        if not stop.stopped or error.code != "driver.output_incomplete":
            raise
        return refusal(command, error, INTERRUPTED)
    signalled = stop.stopped and result.interruption is not None
    return run_told(command, result, plan.notices, fail_on_error=fail_on_error, signalled=signalled)

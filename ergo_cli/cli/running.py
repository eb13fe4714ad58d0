"""What ``run`` and ``capture`` have in common: one run, told."""

from __future__ import annotations

from ergo_cli.cli.session import Session
from ergo_cli.host.capturing import KeepRequest, RunRequest, perform, plan_run
from ergo_cli.report.runs import run_told
from ergo_cli.report.told import Told


def run_and_tell(
    command: str, session: Session, request: RunRequest, keep: KeepRequest | None, *, fail_on_error: bool
) -> Told:
    """Run what is asked for, keep a bundle if ``keep`` says how, and say what came of it."""
    plan = plan_run(request)
    session.note(f"program '{plan.found.program.graph_id}' found by {plan.found.rule}")
    with session.progress(command) as on_step:
        result = perform(plan, keep, on_step)
    return run_told(command, result, plan.found.notices + result.notices, fail_on_error=fail_on_error)

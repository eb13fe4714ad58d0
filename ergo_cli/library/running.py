"""Runs to their end, told as outcomes."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import asdict

from ergo_cli.bundle.memory import InMemoryBundle
from ergo_cli.host.capturing import RunOptions, perform
from ergo_cli.host.channels.policy import ChannelPolicy
from ergo_cli.host.planning import RunPlan
from ergo_cli.host.stopping import StopHandle
from ergo_cli.library.outcome import Completed, Interrupted, RunOutcome, RunSummary
from ergo_cli.library.planning import Planned


def run_planned(planned: Planned, stop: StopHandle | None, policy: ChannelPolicy) -> RunOutcome:
    """Run, blocking, and say what came of it. Raises ErgoError as ``perform``: then nothing is kept."""
    plan = planned.run
    memory = InMemoryBundle(plan.header) if planned.keep is None else None
    result = perform(plan, planned.keep, options=RunOptions(stop, policy=policy, sink=memory))
    summary = RunSummary(
        **asdict(result.summary),
        capture_path=None if result.bundle is None else Path(result.bundle),
        notices=plan.notices + result.notices,
        memory=None if memory is None else memory.commit(egress_provenance(plan)),
    )
    if result.interruption is None:
        return Completed(summary)
    return Interrupted(summary, result.interruption, result.error)


def egress_provenance(plan: RunPlan) -> str | None:
    """The fingerprint of where intents go, None where nothing says so."""
    return None if plan.egress is None else plan.egress.config.provenance

"""Flows are driven under the leases of their store (spec 50 §23, B-12)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from ergo_cli.programs.pipeline.journal import store_errors
from ergo_cli.stores.leases import HeldLease, Leases


@contextmanager
def driving(leases: Leases | None, flow_id: str) -> Generator[HeldLease | None]:
    """Hold the lease of a flow while the block drives it; None where there are no leases.

    Raises JournalError ``pipeline.run_busy`` for a flow that another drives.
    """
    with ExitStack() as stack:
        held = None
        if leases is not None:
            with store_errors(flow_id):
                held = stack.enter_context(leases.driving(flow_id))
        yield held


def is_cancelled(lease: HeldLease) -> bool:
    """Whether somebody asks by now that the flow be ended.

    Raises JournalError, ``pipeline.run_busy`` where the lease is lost.
    """
    with store_errors(lease.lease.run):
        lease.refresh()
    return lease.is_cancelled

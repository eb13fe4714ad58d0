"""Runs of plans are driven under the leases of their store (spec 50 §23, B-12)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from ergo_cli.errors import StoreError
from ergo_cli.programs.plan.ids import RunId
from ergo_cli.programs.plan.stream import journal_error
from ergo_cli.stores.leases import HeldLease, Leases


@contextmanager
def driving(leases: Leases | None, run_id: str, parent: str | None = None) -> Generator[HeldLease | None]:
    """Hold the lease of a run while the block drives it; None where there are no leases.

    ``parent`` is the run that spawned it. Raises StorageError ``plan.run_busy`` for a run that another drives.
    """
    with ExitStack() as stack:
        try:
            held = None if leases is None else stack.enter_context(leases.driving(run_id, parent))
        except StoreError as error:
            raise journal_error(error) from error
        yield held


def look_again(lease: HeldLease) -> None:
    """See whether the run is cancelled by now. Raises StorageError, ``plan.run_busy`` where the lease is lost."""
    try:
        lease.refresh()
    except StoreError as error:
        raise journal_error(error) from error


def children_of(leases: Leases, run_id: str) -> list[RunId]:
    """The runs that a run has spawned and that have not ended, as far as their leases tell. Raises StorageError."""
    try:
        return [RunId(child) for child in leases.children(run_id)]
    except StoreError as error:
        raise journal_error(error) from error

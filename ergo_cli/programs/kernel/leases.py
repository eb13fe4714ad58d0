"""Runs of kernel programs are driven under the leases of their store (spec 50 §23, B-12)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from ergo_cli.programs.kernel.engine.errors import Category
from ergo_cli.programs.kernel.engine.events import store_errors
from ergo_cli.stores.leases import Leases


@contextmanager
def driving(leases: Leases | None, run_id: str) -> Generator[None]:
    """Hold the lease of a run while the block drives it, where there are leases.

    Raises KernelError ``kernel.run_busy`` for a run that another drives.
    """
    with ExitStack() as stack:
        if leases is not None:
            with store_errors(Category.EVENT_STORE, run_id):
                stack.enter_context(leases.driving(run_id))
        yield

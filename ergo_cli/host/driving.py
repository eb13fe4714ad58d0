"""This process as one that drives runs of stores (spec 50 §23, B-12)."""

from __future__ import annotations

from ergo_cli.host.timing import LiveClock
from ergo_cli.stores.leases import Driver
from ergo_cli.stores.processes import is_gone, this_process


def live_driver(name: str) -> Driver:
    """A driver on the machine's clock; ``name`` says what it does with the runs that it drives."""
    return Driver.of(this_process(name), LiveClock().wall_ms, is_gone)

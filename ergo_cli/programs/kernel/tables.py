"""The tables of a database that runs of kernels are kept in (spec 40 §13.2–3, §20)."""

from __future__ import annotations

from ergo_cli.stores.database import RunTables

KERNEL_TABLES = RunTables(
    events="kernel_events",
    attempts="kernel_attempts",
    snapshots="kernel_snapshots",
    snapshot_versions="kernel_snapshot_versions",
)

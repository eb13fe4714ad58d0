"""The tables of a database that runs of plans are kept in; their snapshots are artifacts (spec 00 §13.3).

Attempts are those in the lanes of parallel states, each lane under ``<run>/<state>``.
"""

from __future__ import annotations

from ergo_cli.stores.database import RunTables

PLAN_TABLES = RunTables(events="plan_events", attempts="plan_attempts")

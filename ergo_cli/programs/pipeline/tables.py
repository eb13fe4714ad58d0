"""The table of a database that journals of pipelines are kept in; a journal is a run (spec 00 §13.3)."""

from __future__ import annotations

from ergo_cli.stores.database import RunTables

PIPELINE_TABLES = RunTables(events="pipeline_records")

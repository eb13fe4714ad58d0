"""Pipelines: stages that read each other's journals, driven by a supervisor to a terminal fact (spec 60)."""

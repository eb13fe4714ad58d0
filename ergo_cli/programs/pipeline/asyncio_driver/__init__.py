"""Pipelines in an event loop: a task for each stage and one for the pipeline's supervisor (spec 60 §1.2)."""

"""The pytest plugin: kept bundles as tests, and fixtures for tests that run streams. Installing ergo is enough."""

ACCEPTED = "ergo_accepted"
"""The property of a test whose bundle was accepted."""

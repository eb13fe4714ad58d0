"""The fingerprints of programs and adapters, as bundles and stores carry them (spec 11 §6)."""

from __future__ import annotations

NO_ADAPTER = "none"
"""The adapter provenance of a run without adapter."""

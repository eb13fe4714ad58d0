"""Input of a run: external events, event streams, adapters."""

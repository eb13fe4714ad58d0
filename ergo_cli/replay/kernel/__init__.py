"""Replay of kernel bundles: runs made again from their records, without touching the world (spec 40 §19.3)."""

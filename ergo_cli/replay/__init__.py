"""Replay bundles and compare results: preflight, comparison, diff, divergences, explanations."""

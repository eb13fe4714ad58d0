"""Decide when an episode runs: constraints, clock, deferral, retries, the decision log, the seam to programs."""

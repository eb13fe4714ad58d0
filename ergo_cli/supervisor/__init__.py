"""When an episode runs: constraints, clock, deferral, retries, the decision log and the seam to programs."""

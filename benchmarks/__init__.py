"""What `scripts/bench` runs: how long an event takes, stage by stage and as a whole, and how that grows."""

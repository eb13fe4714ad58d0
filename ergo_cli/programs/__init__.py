"""What runs: one wing for each program kind, none of which knows another."""

"""What is proven: preflight, replay, comparison, diff, divergences."""

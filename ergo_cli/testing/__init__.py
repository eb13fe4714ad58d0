"""Public helpers for tests: scripted invokers and recording logs."""

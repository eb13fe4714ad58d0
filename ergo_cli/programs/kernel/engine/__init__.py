"""Drives a run of a kernel program: events, actions, state, policy, the driver."""

"""The stages of a running flow, a step at a time (spec 60 §18, §19). Whoever drives a flow calls ``visit``."""

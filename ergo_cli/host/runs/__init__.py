"""Runs of stateful programs in a store: looked at, resumed, forked (spec 00 §13.8)."""

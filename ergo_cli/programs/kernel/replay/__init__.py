"""Compares logs, and drives today's program from the records of an earlier call."""

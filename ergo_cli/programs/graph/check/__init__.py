"""Check primitives on registration and graphs before running."""

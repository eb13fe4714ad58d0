"""Resumable execution plans (spec 50)."""

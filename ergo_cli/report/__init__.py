"""Render results: one JSON document for machines, text for people."""

"""The Python API: run, replay, check and step projects and programs (spec 30 §27)."""

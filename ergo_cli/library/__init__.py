"""The library: projects and programs run, replayed, checked and stepped by hand from Python (spec 30 §27)."""

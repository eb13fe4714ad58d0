"""Run one pass of a graph: preparation, interpreter, compiler, effects, fingerprint."""

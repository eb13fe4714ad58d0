"""Events from a live process: ``ergo-driver.v0`` (spec 30 §15)."""

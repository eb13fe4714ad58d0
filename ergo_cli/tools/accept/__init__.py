"""``ergo accept``: today's decisions become the recording."""

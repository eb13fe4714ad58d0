"""Effects out to the world: intents routed to channel processes that acknowledge them durably (spec 30 §16–18)."""

"""Pictures of expanded graphs as texts (spec 30 §25, 00 §12.8)."""

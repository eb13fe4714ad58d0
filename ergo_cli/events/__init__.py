"""What comes in: external events, event streams, adapters."""

"""The world around a run: event sources, context store, effects, channels, stopping."""

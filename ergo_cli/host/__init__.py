"""Run programs: event sources, context store, effects, stopping, outputs and recovery."""

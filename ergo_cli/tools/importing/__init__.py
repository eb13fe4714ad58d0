"""Tables and documents of other tools as a stream of events."""

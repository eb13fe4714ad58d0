"""Views of the runs in a store: timelines, and the result of a fork."""

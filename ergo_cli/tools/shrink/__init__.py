"""The smallest stream that still fails: a pure search, what a try is, and what comes of it."""

"""Public helpers for tests: scripted invokers, recording logs, bundle builders."""

"""Storage: journals, snapshots and artifacts of runs by backend, atomic files, compressed files."""

"""Find and load projects: ergo.toml, the program of a run or a bundle, the program store, capture paths."""

"""Where things are: ergo.toml, the program of a run or a bundle, the program store, places of captures."""

"""Where things rest: files that appear whole or not at all, spools, compressed texts."""

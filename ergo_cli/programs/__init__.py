"""Program kinds: one package each, independent of one another, and the interface they share."""

"""How results are told: one document for machines, text for people."""

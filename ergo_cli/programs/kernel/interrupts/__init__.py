"""Interrupts as objects of their own: what is asked of whom, how far it has come, who answers (spec 40 §10)."""

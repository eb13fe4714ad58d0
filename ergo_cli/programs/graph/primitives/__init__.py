"""What primitives are, and the standard library."""

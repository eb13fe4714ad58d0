"""Every kind of file that a user keeps, checked without running anything (spec 00 §12.8)."""

"""User-defined primitives: plain typed functions whose signature is the manifest (spec 20 §3–6, 30 §27)."""

"""The formats of CI systems, one module each, all made of the report document; ``registry`` has their table."""

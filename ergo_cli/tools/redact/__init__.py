"""Redact a bundle that is there: record its events anew with values replaced (``ergo redact``)."""

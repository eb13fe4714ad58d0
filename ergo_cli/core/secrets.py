"""Keep passwords of connection strings out of messages, whatever their spelling (spec 00 §13.8)."""

from __future__ import annotations

import re

HIDDEN = "***"
"""What stands where a password stood."""

_IN_URL = re.compile(r"(://[^\s:@/'\"]*):[^\n]*@")  # to the last @: a password may hold anything
_QUOTED = r"'(?:[^'\\]|\\.)*(?:'|\Z)"
_PARAMETER = re.compile(rf"(\w*password\s*(?:=|%3d)\s*)(?!\*\*\*)({_QUOTED}|(?:\\.|[^\s&'\"\\])+)", re.IGNORECASE)


def without_passwords(text: str) -> str:
    """``text`` with ``***`` for every password in a URL (``//user:…@``) or a parameter (``password=…``)."""
    if "://" in text:
        text = _IN_URL.sub(rf"\1:{HIDDEN}@", text)
    if "password" in text.lower():
        text = _PARAMETER.sub(rf"\1{HIDDEN}", text)
    return text

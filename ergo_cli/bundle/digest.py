"""The digest of a v4 bundle: over its text with the white space outside strings left out (spec 00 §12.6)."""

from __future__ import annotations

import re
from hashlib import sha256

_BLANK_OR_STRING = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z))|[ \t\r\n]++', re.DOTALL)
_CLOSED = re.compile(rb'(?:[^"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)


class TextDigest:
    """The SHA-256 of JSON text in compact form, whatever its layout; the text comes in blocks cut anywhere."""

    def __init__(self) -> None:
        self._digest = sha256()
        self._held = b""  # a backslash at the end of a block waits for the character it escapes
        self._in_string = False

    def update(self, block: bytes) -> None:
        """Add the next block of the text."""
        text = self._held + block
        escaping = (len(text) - len(text.rstrip(b"\\"))) % 2
        self._held = text[len(text) - escaping :]
        text = text[: len(text) - escaping]
        reopened = b'"' + text if self._in_string else text
        compact = _BLANK_OR_STRING.sub(rb"\1", reopened)
        self._digest.update(compact[1:] if self._in_string else compact)
        closed = _CLOSED.match(reopened)
        self._in_string = closed is None or closed.end() < len(reopened)

    def text(self) -> str:
        """``sha256:`` and the lower-case hex digest: the value of the member ``digest``."""
        return "sha256:" + self._digest.hexdigest()

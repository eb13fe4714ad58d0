"""What is wrong with the text of a bundle, in words that name the member and the place."""

from __future__ import annotations

import re

from ergo_cli.errors import BundleError

FIX = "capture again, or restore the bundle from where it came"

_AT = re.compile(r" - at `\$(?:\.)?(.*)`$", re.DOTALL)
_WORDS = (
    ("Object missing required field ", "missing field "),
    ("Object contains unknown field ", "unknown field "),
    ("Invalid enum value ", "unknown variant "),
    ("Expected ", "expected "),
)


class RecordFault(BundleError):
    """A record that is not what spec 11 §2 says: ``path`` inside it, ``index`` in its list, ``offset`` in its text."""

    def __init__(self, message: str, path: str = "", offset: int = 0) -> None:
        super().__init__("bundle.parse_failed", message, where=path or None, fix=FIX)
        self.path = path
        self.offset = offset
        self.index = 0


def parse_failed(label: str, message: str, where: str) -> BundleError:
    """The error for a file whose text is not that of a bundle."""
    return BundleError("bundle.parse_failed", f"'{label}' is not a capture bundle: {message}", where=where, fix=FIX)


def read_failed(label: str, message: str) -> BundleError:
    """The error for a file whose bytes cannot be had."""
    fix = "check that the file is there, whole and readable"
    return BundleError("bundle.read_failed", f"cannot read bundle '{label}': {message}", where=label, fix=fix)


def digest_mismatch(label: str, message: str) -> BundleError:
    """The error for a v4 bundle whose text was changed after it was written (spec 00 §5)."""
    return BundleError("bundle.digest_mismatch", f"bundle '{label}' was changed: {message}", where="digest", fix=FIX)


def describe(error: Exception) -> tuple[str, str]:
    """The message of a decoder's exception in our words, and the path that it names."""
    text = str(error)
    at = _AT.search(text)
    if at is not None:
        text = text[: at.start()]
    for theirs, ours in _WORDS:
        if text.startswith(theirs):
            text = ours + text.removeprefix(theirs)
    return text, at[1] if at else ""


def journal_invalid(label: str, why: str, where: str) -> BundleError:
    """The error for a bundle whose journals or artifacts are not what spec 00 §13.4 says."""
    message = f"the journals of '{label}' are not what a capture writes: {why}"
    return BundleError("bundle.journal_invalid", message, where=where, fix=FIX)

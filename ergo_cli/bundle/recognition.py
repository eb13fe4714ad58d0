"""Recognise bundle files by their content (spec 00 §12.5, §12.8)."""

from __future__ import annotations

import os
import re
from enum import Enum

from ergo_cli.bundle.reader import seekable
from ergo_cli.bundle.scanning import TextFault, Window
from ergo_cli.core.json import JsonError, decode
from ergo_cli.stores.files import STANDARD_INPUT, read_blocks
from ergo_cli.stores.inflation import CompressionError
from ergo_cli.stores.locations import is_remote

SUFFIXES = (".json", ".json.gz", ".json.zst")
_BEGINNING = re.compile(rb'\s*\{\s*"capture_version"\s*:')


class Content(Enum):
    """What a file with the suffix of a bundle holds."""

    BUNDLE = "an object with the member `capture_version`"
    OTHER_DOCUMENT = "a whole JSON document without it"
    BROKEN = "anything else: opening it as a bundle reports the reason"


def has_suffix(path: str) -> bool:
    """Whether a file is named as bundles are, in any case of letters."""
    return path.lower().endswith(SUFFIXES)


def is_bundle(path: str) -> bool:
    """Whether a path is standard input, or a file that is named as bundles are and holds one, whole or not.

    Of an object at a URL the name alone decides.
    """
    if path == STANDARD_INPUT:
        return True
    if is_remote(path):
        return has_suffix(path)  # it is fetched once, when it is opened
    return has_suffix(path) and os.path.isfile(path) and (looks_like_bundle(path) or content_of(path) is Content.BUNDLE)


def looks_like_bundle(path: str) -> bool:
    """Whether a file is empty, or begins with ``{`` and ``capture_version``.

    True for a file that cannot be read: opening it reports the reason.
    """
    try:
        beginning = next(read_blocks(path), b"")
    except (OSError, CompressionError):
        return True
    return not beginning or _BEGINNING.match(beginning) is not None


def content_of(path: str) -> Content:
    """What a file holds, wherever its members stand; reads no further than the member ``capture_version``."""
    try:
        with seekable(path) as file:
            return _content(Window(file))
    except (OSError, CompressionError, TextFault, JsonError):
        return Content.BROKEN


def _content(window: Window) -> Content:
    """Walk over the members at the top of a document, each of which must be JSON. Raises TextFault and JsonError."""
    if window.next() != b"{":
        decode(window.value())
        return _whole(window)
    window.at += 1
    if window.next() == b"}":
        window.at += 1
        return _whole(window)
    while True:
        if window.next() != b'"':
            raise window.unexpected("a member name in quotes")
        name = decode(window.value())
        window.expect(b":")
        if name == "capture_version":
            return Content.BUNDLE
        decode(window.value())
        if window.next() != b",":
            window.expect(b"}")
            return _whole(window)
        window.at += 1


def _whole(window: Window) -> Content:
    if window.next():
        raise window.fault("unexpected text behind the document")
    return Content.OTHER_DOCUMENT

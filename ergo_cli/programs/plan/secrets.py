"""Find what looks like a secret, so that it is never written (spec 50 §4.3).

A text is suspicious if it names a credential, or if it consists of 12 to 24 plain lower-case words, as the phrases of
wallets do. ``allowed`` names texts that are harmless although they match, such as ``authorization_status``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import cast

_NAMES = tuple(
    b"password|passphrase|mnemonic|private_key|privatekey|seed phrase|seed_phrase|seedphrase|api_key|apikey|x-api-key"
    b"|x_api_key|access_key|accesskey|secret_key|secretkey|aws_access_key_id|aws_secret_access_key|access_token"
    b"|refresh_token|id_token|authorization|bearer ".split(b"|")
)
_WORD = re.compile(r"[a-z]+")
_WORDS = range(12, 25)
_SHORTEST_PHRASE = 22  # twelve words of one letter have 23 characters
_BLANK = re.compile(r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
"""The white space of Unicode; ``str.split`` also splits at U+001C to U+001F, which are control characters."""


def is_suspicious(text: str) -> bool:
    """Whether a text looks like a secret."""
    lowered = text.encode(errors="surrogatepass").lower()  # of bytes, so that ASCII letters alone are lowered
    if any(name in lowered for name in _NAMES):
        return True
    words = [word for word in _BLANK.split(text) if word] if len(text) > _SHORTEST_PHRASE else ()
    return len(words) in _WORDS and all(_WORD.fullmatch(word) for word in words)


_PLAIN_NAME = re.compile(r"[\w.$-]{1,64}", re.ASCII)
_HIDDEN = "…"


def may_hold_secret(text: bytes) -> bool:
    """Whether a canonical text may hold a secret: no where not one name, and too few spaces for a phrase, are in it.

    What it says no to need not be searched value by value.
    """
    lowered = text.lower()
    is_plain = text.isascii() and b"\\" not in text and text.count(b" ") < _WORDS.start - 1
    return not is_plain or any(name in lowered for name in _NAMES)


def find_secret(value: object, allowed: Set[str] = frozenset()) -> str | None:
    """The JSON pointer of the first suspicious member name or text in a value, depth first; None if there is none.

    A suspicious name that is no plain identifier may be the secret itself: ``…`` stands in its place.
    """
    return next(_secrets(value, "", allowed), None)


def without_names(message: str) -> str:
    """A message whose JSON pointers have ``…`` for every suspicious name: the place without a word of secrets."""
    return _POINTER.sub(lambda found: "/".join(map(_masked, found[0].split("/"))), message)


_POINTER = re.compile(r"(?<=at ')/[^']*(?=')")


def _masked(name: str) -> str:
    return _HIDDEN if is_suspicious(name) else name


def _secrets(value: object, place: str, allowed: Set[str]) -> Iterator[str]:
    match value:
        case str():
            if value not in allowed and is_suspicious(value):
                yield place
        case Mapping():
            for name, member in cast("Mapping[str, object]", value).items():
                inner = f"{place}/{name.replace('~', '~0').replace('/', '~1')}"
                if name not in allowed and is_suspicious(name):
                    yield inner if _PLAIN_NAME.fullmatch(name) else f"{place}/{_HIDDEN}"
                yield from _secrets(member, inner, allowed)
        case Sequence() if not isinstance(value, bytes | bytearray):
            for index, item in enumerate(cast("Sequence[object]", value)):
                yield from _secrets(item, f"{place}/{index}", allowed)
        case _:
            pass

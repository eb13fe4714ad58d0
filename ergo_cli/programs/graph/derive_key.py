"""Context keys derived from the place where a cluster is instantiated (spec 20 §7.7)."""

from __future__ import annotations

from collections.abc import Iterable


def derive_key(path: Iterable[tuple[str, str]], slot: str) -> str:
    """The key of ``slot`` at the authoring path ``path``; injective, since every part carries its UTF-8 length."""
    parts = [part for pair in path for part in pair]
    return "/".join(["__ergo", *(f"{len(part.encode())}:{part}" for part in (*parts, slot))])

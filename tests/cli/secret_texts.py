"""Look for texts in everything that commands leave behind: in files, raw and decoded, and in what they print."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.conftest import Ran


def spellings(secret: str) -> Iterator[bytes]:
    """A secret as text, escaped once and twice, as an array of byte values, and in base64 at any offset."""
    raw = secret.encode()
    yield raw
    once = json.dumps(secret)[1:-1]
    yield once.encode()
    yield json.dumps(once)[1:-1].encode()
    yield ",".join(map(str, raw)).encode()
    yield ", ".join(map(str, raw)).encode()
    for offset in range(3):
        whole = b64encode(b"\0" * offset + raw)
        yield whole[4 if offset else 0 : len(whole) // 4 * 4 - 4]


def contents(places: Iterable[Path], *, apart: Iterable[Path] = ()) -> Iterator[tuple[str, bytes]]:
    """Every file below ``places`` but those ``apart``; blanks of indented arrays left out, compressed ones inflated."""
    kept = {path.resolve() for path in apart}
    for place in places:
        for file in sorted(path for path in place.rglob("*") if path.is_file() and path.resolve() not in kept):
            data = file.read_bytes()
            yield str(file), data
            yield str(file), b"".join(data.split())
            if file.suffix == ".gz":
                yield str(file), gzip.decompress(data)


def found(secrets: Iterable[str], texts: Iterable[tuple[str, bytes]]) -> list[str]:
    """Where a secret stands."""
    forms = [form for secret in secrets for form in spellings(secret)]
    return [f"{place}: {form!r}" for place, text in texts for form in forms if form and form in text]


def said(*runs: Ran) -> Iterator[tuple[str, bytes]]:
    """What commands printed."""
    for number, ran in enumerate(runs):
        yield f"stdout of run {number}", ran.stdout.encode()
        yield f"stderr of run {number}", ran.stderr.encode()

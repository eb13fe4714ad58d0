"""How a bundle writes numbers from 1e16 on: ``1e300``, or ``1e+300`` as originals with a newer serde_json do."""

from __future__ import annotations

import re

from ergo_cli.bundle.reader import BundleReader
from ergo_cli.core.json import newer_numbers
from ergo_cli.core.values import effect_hash

_NEWER = re.compile(rb"[0-9]e\+[0-9]")


def has_newer_texts(reader: BundleReader) -> bool:
    """Whether the text of a decision holds such a number in the newer form; other tools write it as well."""
    return any(_NEWER.search(block) for block in reader.decision_blocks())


def has_newer_hashes(reader: BundleReader) -> bool | None:
    """Whether effects were hashed in the newer form: the first one with such a number decides; None without any.

    An effect whose hash is of neither form is passed over. Raises BundleError as ``BundleReader.decisions``.
    """
    for record in reader.decisions():
        for captured in record.effects:
            usual, newer = captured.text, newer_numbers(captured.text)
            if newer != usual and captured.effect_hash in (effect_hash(usual), effect_hash(newer)):
                return captured.effect_hash == effect_hash(newer)
    return None

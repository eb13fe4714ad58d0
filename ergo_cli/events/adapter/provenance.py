"""The fingerprint of an adapter: equal manifests, however they are written, have equal ones (spec 10 §15)."""

from __future__ import annotations

from hashlib import sha256

from ergo_cli.core.json import canonical
from ergo_cli.events.adapter.manifest import AdapterManifest


def fingerprint(manifest: AdapterManifest) -> str:
    """``adapter:<id>@<version>;sha256:<hex>`` over the canonical text."""
    digest = sha256(fingerprint_text(manifest)).hexdigest()
    return f"adapter:{manifest.id}@{manifest.version};sha256:{digest}"


def fingerprint_text(manifest: AdapterManifest) -> bytes:
    """Compact JSON of the manifest, members sorted at every depth, lists as written, absent members null."""
    return canonical(manifest)

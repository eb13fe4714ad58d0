"""Adapters: what semantic kinds of events there are, what enters the context, which effects are accepted."""

from __future__ import annotations

from ergo_cli.events.adapter.adapter import Adapter, adapter_provenance, load_adapter, setup_failed
from ergo_cli.events.adapter.provides import ProvidedKey, Provides

__all__ = ["Adapter", "ProvidedKey", "Provides", "adapter_provenance", "load_adapter", "setup_failed"]

"""Say which memory of an event differs, and since which event (spec 70 §2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ergo_cli.replay.results import MemorySince


def memory_texts(memory: Sequence[MemorySince]) -> Iterator[str]:
    """``memory of fast, slow since q-0129``, one for each event since which members differ."""
    found: dict[str, list[str]] = {}
    for each in memory:
        found.setdefault(each.event_id, []).append(each.key)
    for event, keys in found.items():
        yield f"memory of {', '.join(keys)} since {event}"

"""Feeds the profile `live` over ergo-driver.v0: put your own source of events in place of the one event here."""

from __future__ import annotations

import json
import sys


def tell(frame: dict[str, object]) -> None:
    """Write one frame."""
    sys.stdout.write(json.dumps(frame) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Say hello, emit the events, say that there are no more."""
    tell({"type": "hello", "protocol": "ergo-driver.v0"})
    event = {
        "event_id": "sample-live-evt-1",
        "kind": "Command",
        "at": {"secs": 0, "nanos": 0},
        "semantic_kind": "sample_event",
        "payload": {"message": "hello-from-live"},
    }
    tell({"type": "event", "event": event})
    tell({"type": "end"})


main()

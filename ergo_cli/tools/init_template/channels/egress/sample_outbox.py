"""Takes intents over ergo-egress.v1: each is on disk, in outbox.jsonl, before it is acknowledged.

The id of an intent follows from the graph and the event, so an event that is run again brings the same one: it is
acknowledged again, but taken only once.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

OUTBOX = Path(__file__).with_name("outbox.jsonl")


def tell(frame: dict[str, object]) -> None:
    """Write one frame."""
    sys.stdout.write(json.dumps(frame) + "\n")
    sys.stdout.flush()


def taken() -> set[str]:
    """The ids of the intents that are in the outbox."""
    if not OUTBOX.exists():
        return set()
    with OUTBOX.open(encoding="utf-8") as outbox:
        return {json.loads(line)["intent_id"] for line in outbox}


def main() -> None:
    """Take intents until the end is announced, or whoever sends them is gone."""
    tell({"type": "ready", "protocol": "ergo-egress.v1", "handled_kinds": ["publish_sample"]})
    known = taken()
    with OUTBOX.open("a", encoding="utf-8") as outbox:
        for number, line in enumerate(sys.stdin, start=1):
            frame = json.loads(line)
            if frame["type"] == "end":
                return
            intent_id, reference = frame["intent_id"], f"sample-outbox-{number}"
            if intent_id not in known:
                known.add(intent_id)
                outbox.write(line)
                outbox.flush()
                os.fsync(outbox.fileno())
            tell(
                {
                    "type": "intent_ack",
                    "intent_id": intent_id,
                    "status": "accepted",
                    "acceptance": "durable",
                    "egress_ref": reference,
                }
            )


main()

"""A channel as its author would write it: takes what it is told, keeps it in a file, acknowledges.

egress_outbox.py FILE KIND...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def put(frame: dict[str, object]) -> None:
    print(json.dumps(frame), flush=True)


def main(outbox: Path, kinds: list[str]) -> None:
    put({"type": "ready", "protocol": "ergo-egress.v1", "handled_kinds": kinds})
    with outbox.open("a", encoding="utf-8") as file:
        for count, line in enumerate(sys.stdin, start=1):
            file.write(line)
            file.flush()
            frame = json.loads(line)
            if frame["type"] == "end":
                return
            put(
                {
                    "type": "intent_ack",
                    "intent_id": frame["intent_id"],
                    "status": "accepted",
                    "acceptance": "durable",
                    "egress_ref": f"outbox-{count}",
                }
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

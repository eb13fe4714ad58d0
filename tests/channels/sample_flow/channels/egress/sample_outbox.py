"""Takes samples over: keeps each in ``outbox.jsonl`` before it says so."""

import json
import sys


def put(frame):
    print(json.dumps(frame), flush=True)


put({"type": "ready", "protocol": "ergo-egress.v1", "handled_kinds": ["publish_sample"]})
with open("outbox.jsonl", "a", encoding="utf-8") as outbox:
    for line in sys.stdin:
        outbox.write(line)
        outbox.flush()
        frame = json.loads(line)
        if frame["type"] == "end":
            break
        put(
            {
                "type": "intent_ack",
                "intent_id": frame["intent_id"],
                "status": "accepted",
                "acceptance": "durable",
                "egress_ref": "sample-outbox-1",
            }
        )

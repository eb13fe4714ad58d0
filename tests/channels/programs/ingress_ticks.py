"""A driver: a tick for every number in a file of numbers. ingress_ticks.py FILE"""

import json
import sys


def put(frame: dict[str, object]) -> None:
    print(json.dumps(frame), flush=True)


put({"type": "hello", "protocol": "ergo-driver.v0"})
with open(sys.argv[1], encoding="utf-8") as numbers:
    for second, number in enumerate(numbers):
        event = {"event_id": f"tick-{second}", "kind": "Command", "at": {"secs": second, "nanos": 0}}
        put({"type": "event", "event": {**event, "semantic_kind": "tick", "payload": {"x": float(number)}}})
put({"type": "end"})

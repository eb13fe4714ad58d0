"""A channel that does what its arguments say, one after the other; the first is a file for what it reads.

egress_scripted.py FILE STEP...      a step is VERB or VERB:TEXT
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path


class Script:
    """The steps; ``frame`` is the one read last."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.frame: dict[str, object] = {}

    def ready(self, kinds: str) -> None:
        self.put({"type": "ready", "protocol": "ergo-egress.v1", "handled_kinds": kinds.split(",") if kinds else []})

    def read(self, _: str) -> None:
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        with self.log.open("a", encoding="utf-8") as file:
            file.write(line)
        self.frame = json.loads(line)

    def ack(self, intent_id: str, status: str = "accepted", acceptance: str = "durable") -> None:
        intent_id = intent_id or str(self.frame["intent_id"])
        self.put({"type": "intent_ack", "intent_id": intent_id, "status": status, "acceptance": acceptance})

    def answer(self, words: str) -> None:
        self.ack("", *words.split(","))

    def serve(self, _: str) -> None:
        self.read("")
        while self.frame["type"] != "end":
            self.ack("")
            self.read("")

    def say(self, line: str) -> None:
        self.write(line.encode() + b"\n")

    def half(self, text: str) -> None:
        self.write(text.encode())

    def bytes(self, digits: str) -> None:
        self.write(bytes.fromhex(digits))

    def long(self, count: str) -> None:
        chunk = b"x" * 2**20
        for _ in range(int(count) // len(chunk)):
            self.write(chunk)
        self.write(b"\n")

    def flood(self, line: str) -> None:
        while True:
            self.write(line.encode() + b"\n")

    def err(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def errflood(self, count: str) -> None:
        for number in range(int(count)):
            print(f"complaint {number}", file=sys.stderr)
        sys.stderr.flush()

    def child(self, _: str) -> None:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", str(self.log)])

    def stubborn(self, _: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def sleep(self, seconds: str) -> None:
        time.sleep(float(seconds or 60))

    def exit(self, status: str) -> None:
        sys.exit(int(status))

    def put(self, frame: dict[str, object]) -> None:
        self.say(json.dumps(frame))

    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def main(log: str, steps: list[str]) -> None:
    script = Script(Path(log))
    for step in steps:
        verb, _, text = step.partition(":")
        getattr(script, verb)(text)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

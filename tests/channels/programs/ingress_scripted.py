"""A driver that does what its arguments say, one after the other; the first is a file that it writes its pid to.

ingress_scripted.py FILE STEP...      a step is VERB or VERB:TEXT
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


class Script:
    """The steps; events are numbered from 1 and happen one second after the other."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.sent = 0

    def hello(self, version: str) -> None:
        self.put({"type": "hello", "protocol": f"ergo-driver.{version or 'v0'}"})

    def event(self, event_id: str) -> None:
        self.tick(event_id or f"evt-{self.sent + 1}", {"x": self.sent + 1.5})

    def events(self, count: str) -> None:
        for _ in range(int(count)):
            self.event("")

    def payload(self, text: str) -> None:
        self.tick(f"evt-{self.sent + 1}", json.loads(text))

    def tick(self, event_id: str, payload: object) -> None:
        self.sent += 1
        event = {"event_id": event_id, "kind": "Command", "at": {"secs": self.sent, "nanos": 0}}
        self.put({"type": "event", "event": {**event, "semantic_kind": "tick", "payload": payload}})

    def end(self, _: str) -> None:
        self.put({"type": "end"})

    def say(self, line: str) -> None:
        self.write(line.encode() + b"\n")

    def half(self, text: str) -> None:
        self.write(text.encode())

    def bytes(self, digits: str) -> None:
        self.write(bytes.fromhex(digits))

    def long(self, mebibytes: str) -> None:
        chunk = b"x" * 2**20
        for _ in range(int(mebibytes)):
            self.write(chunk)
        self.write(b"\n")

    def flood(self, _: str) -> None:
        while True:
            self.event("")

    def err(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def errflood(self, mebibytes: str) -> None:
        for _ in range(int(mebibytes) * 2**14):
            sys.stderr.write("f" * 63 + "\n")
        self.err("the last words")

    def child(self, _: str) -> None:
        """A child in the same group that holds stdout and stderr open."""
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", self.file], stdin=subprocess.DEVNULL)

    def stubborn(self, _: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def close(self, _: str) -> None:
        os.close(1)

    def sleep(self, seconds: str) -> None:
        time.sleep(float(seconds or 60))

    def exit(self, status: str) -> None:
        os._exit(int(status))

    def die(self, _: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def put(self, frame: dict[str, object]) -> None:
        self.say(json.dumps(frame))

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(1, data) :]


def main(file: str, steps: list[str]) -> None:
    Path(file).write_text(str(os.getpid()))
    script = Script(file)
    for step in steps:
        verb, _, text = step.partition(":")
        getattr(script, verb)(text)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

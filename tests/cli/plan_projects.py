"""Projects of plan programs for tests: the example, and small ones written on the spot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.conftest import Ergo, Ran

SETTLEMENT = Path(__file__).parents[2] / "fixtures" / "settlement"
KEPT = "captures/friday.json"
PROJECT = 'name = "n"\nversion = "1"\n[profiles.default]\nplan = "own.program:program"\nfixture = "events.jsonl"\n'
PROGRAM = """
from ergo_cli.programs.plan import *

{handlers}

program = PlanProgram("own", "1", ({states}), {more})
"""
WORLD = """
from ergo_cli.programs.plan import *

{head}

def ask(call):
    {body}
"""
BUNDLE = "captures/default.capture.json"


def settlement(folder: Path) -> Path:
    """A copy of the example."""
    return shutil.copytree(SETTLEMENT, folder / "settlement", ignore=shutil.ignore_patterns("__pycache__"))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, text.count(old)
    file.write_text(text.replace(old, new))


class Home:
    """A project with a program of its own; each line of a handler's body is a line below ``def``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "own").mkdir(parents=True)
        (root / "ergo.toml").write_text(PROJECT)
        self.events({})
        self.world("return 1")

    def events(self, *payloads: Any) -> None:
        lines = ['{"kind":"episode_start","id":"d"}']
        for number, payload in enumerate(payloads, 1):
            event = {"type": "Command", "id": f"e{number}", "payload": payload}
            lines.append(json.dumps({"kind": "event", "event": event}))
        (self.root / "events.jsonl").write_text("\n".join(lines) + "\n")

    def one(self, *body: str, meta: str = "StateMeta()", more: str = "") -> Home:
        """A program of one state, ``own.main.one``."""
        handler = "\n    ".join(("def one(ctx, io, rec):", *body))
        return self.program(handler, f'State("own.main.one", one, {meta}),', more)

    def program(self, handlers: str, states: str, more: str = "") -> Home:
        text = PROGRAM.format(handlers=handlers, states=states, more=more)
        (self.root / "own" / "program.py").write_text(text)
        return self

    def world(self, body: str, head: str = "") -> None:
        (self.root / "own" / "world.py").write_text(WORLD.format(body=body, head=head))

    def kept(self) -> Any:
        return json.loads((self.root / BUNDLE).read_text())

    def capture(self, ergo: Ergo, *arguments: str) -> Any:
        """The bundle of a capture that must succeed."""
        ran = ergo("capture", *arguments, cwd=self.root)
        assert ran.exit_code == 0, ran.stdout + ran.stderr
        return self.kept()


def events_of(entry: Any) -> list[Any]:
    """The recorded events of one journal entry, without frames: of the engine by name, of handlers as they are."""
    events = [record["event"] for record in entry["records"] if "event" in record]
    return [event.get("Kernel") or event["Domain"] for event in events]


def failure(bundle: Any) -> Any:
    """The information of the last failed attempt."""
    failed = [event["StateFailed"] for entry in bundle["journals"] for event in events_of(entry) if _failed(event)]
    return failed[-1]["error"]["info"]


def _failed(event: Any) -> bool:
    return "StateFailed" in event


def divergences(ran: Ran) -> list[Any]:
    """The divergences of the only bundle of a replay or diff."""
    [bundle] = ran.report["bundles"]
    return bundle["divergences"]

"""A small kernel program in a project: tickets that are aged, planned, approved where large, paid and answered."""

from __future__ import annotations

from pathlib import Path

AGENT = """\
from ergo_cli.programs.kernel import ActionSucceeded, CallTool, Complete, Do, Emit
from ergo_cli.programs.kernel import Interrupt, KernelProgram, Resumed, StateUpdated
from support.letters import letter

LARGEST = 100


def first(payload):
    return {"amount": payload["amount"], "ticket": payload["ticket"]}


def step(state):
    if "age" not in state:
        return Do(CallTool("age", {"ticket": state["ticket"]}))
    if "plan" not in state:
        return Emit([StateUpdated("plan", "refund" if state["amount"] > 10 else "ignore")])
    if state["plan"] == "refund" and state["amount"] > LARGEST and "approved" not in state:
        return Interrupt({"ask": "approve refund?", "amount": state["amount"]})
    if state["plan"] == "refund" and "paid" not in state:
        return Do(CallTool("refund", {"amount": state["amount"], "ticket": state["ticket"]}))
    if "told" not in state:
        return Do(CallTool("tell", {"text": letter(state)}))
    return Complete()


def reduce(state, event):
    match event.event:
        case StateUpdated("plan", plan):
            return {**state, "plan": plan}
        case ActionSucceeded(_, {"age": age}):
            label = "late" if age > 3 else "new"
            return {**state, "age": age, "summary": {"label": label, "age": age}}
        case ActionSucceeded(_, {"paid": paid}):
            return {**state, "paid": paid}
        case ActionSucceeded(_, {"told": told}):
            return {**state, "told": told}
        case Resumed({"approve": approve}):
            return {**state, "approved": approve}
        case _:
            return state


program = KernelProgram("tickets", first, step, "support.desk:execute", reduce, version="1")
"""

LETTERS = """\
def letter(state):
    return f"Your ticket of {state['age']} days is settled."
"""

DESK = """\
def execute(action, call):
    match action.tool:
        case "age":
            return {"age": 5}
        case "refund":
            return {"paid": action.input["amount"]}
        case _:
            return {"told": True}
"""

PROJECT = """\
name = "tickets"
version = "1.0.0"

[profiles.default]
kernel = "support.agent:program"
run_id = "$payload.ticket"
fixture = "events.jsonl"
capture_output = "captures/tickets.json"
"""

EVENTS = """\
{"kind":"episode_start","id":"tickets"}
{"kind":"event","event":{"type":"Command","id":"e1","at":"9h","payload":{"ticket":"T-1","amount":20}}}
{"kind":"event","event":{"type":"Command","id":"e2","at":"10h","payload":{"ticket":"T-2","amount":900}}}
{"kind":"event","event":{"type":"Command","id":"e3","at":"11h","payload":{"ticket":"T-2","approve":true}}}
"""

BUNDLE = "captures/tickets.json"


def make_desk(home: Path) -> Path:
    """The project in a new folder."""
    package = home / "support"
    package.mkdir(parents=True)
    texts = {"agent.py": AGENT, "letters.py": LETTERS, "desk.py": DESK, "__init__.py": ""}
    for name, text in texts.items():
        (package / name).write_text(text)
    (home / "ergo.toml").write_text(PROJECT)
    (home / "events.jsonl").write_text(EVENTS)
    return home


def edit(home: Path, old: str, new: str, file: str = "agent.py") -> None:
    """Replace a text of one of its modules, which has it once."""
    module = home / "support" / file
    text = module.read_text()
    assert text.count(old) == 1
    module.write_text(text.replace(old, new))


def line_of(home: Path, part: str, file: str = "agent.py") -> int:
    """The number of the first line with a text."""
    lines = (home / "support" / file).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if part in line)

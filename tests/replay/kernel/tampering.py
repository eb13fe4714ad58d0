"""Bundles to be tampered with, and every way that we could think of to do so."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any

from replayed_agents import APPROVE_PROVENANCE, approve, chat, shout
from replayed_kernels import EXAMPLE, artifact, capture, command, known

from ergo_cli.bundle.schema import payload_hash
from ergo_cli.core.values import effect_hash
from ergo_cli.programs.kernel import ActionError, CallTool, Complete, Do, KernelProgram
from ergo_cli.replay.results import Target
from ergo_cli.supervisor.seam import Constraints

Tree = dict[str, Any]
Edit = Callable[[Tree], Any]


def example() -> Tree:
    return json.loads(EXAMPLE.read_bytes())


def room() -> Tree:
    """One run of three turns."""
    events = [command(f"e{number}", text=f"hello {number}") for number in range(3)]
    return json.loads(capture(chat(), events, shout, run_id="room").encode())


def retried() -> Tree:
    """An episode of two attempts: the first lost its tool, the second got its answer."""
    answers = iter([ActionError.transient("gone"), 1])

    def execute(action: Any, call: Any) -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    bundle = capture(tools(), [command("e1")], execute, constraints=Constraints(max_retries=2))
    return json.loads(bundle.encode())


def tools() -> KernelProgram[Any]:
    def reduce(state: Any, event: Any) -> Any:
        return [*state, event.event.output] if event.kind == "ActionSucceeded" else state

    return KernelProgram(
        "tools",
        lambda payload: [],
        lambda state: Complete() if state else Do(CallTool("t", None)),
        "nowhere:execute",
        reduce,
    )


BASES: dict[str, tuple[Callable[[], Tree], Target]] = {
    "example": (example, Target(known(approve(), APPROVE_PROVENANCE))),
    "room": (room, Target(known(chat()))),
    "retried": (retried, Target(known(tools()))),
}


def records(tree: Tree, entry: int = 0) -> list[Any]:
    return tree["journals"][entry]["records"]


def begin(tree: Tree, entry: int = 0) -> Tree:
    return records(tree, entry)[0]["begin"]


def renumbered(tree: Tree) -> None:
    for seq, record in enumerate(records(tree)[1:-1], 1):
        record["seq"] = seq


def dropped(place: int, *, renumber: bool) -> Edit:
    def edit(tree: Tree) -> None:
        del records(tree)[place]
        if renumber:
            renumbered(tree)

    return edit


def inserted(place: int, record: Any, *, renumber: bool = False) -> Edit:
    def edit(tree: Tree) -> None:
        records(tree).insert(place, copy.deepcopy(record))
        if renumber:
            renumbered(tree)

    return edit


def swapped(tree: Tree) -> None:
    journal = records(tree)
    journal[2], journal[3] = journal[3], journal[2]
    renumbered(tree)


def without_first_attempt(tree: Tree) -> None:
    journal = records(tree)
    second = next(place for place, record in enumerate(journal) if "begin" in record and place)
    del journal[:second]
    begin(tree)["attempt"] = 0
    tree["decisions"][0]["retry_count"] = 0


def without_last_attempt(tree: Tree) -> None:
    journal = records(tree)
    second = next(place for place, record in enumerate(journal) if "begin" in record and place)
    del journal[second:]
    tree["decisions"][0]["retry_count"] = 0


def other_initial(tree: Tree) -> None:
    del tree["artifacts"][begin(tree)["initial"]]
    begin(tree)["initial"] = artifact(tree, {"amount": 6})


def without_initial(tree: Tree) -> None:
    tree["artifacts"].clear()
    begin(tree)["initial"] = None


def as_base64(tree: Tree) -> None:
    name = begin(tree)["initial"]
    tree["artifacts"][name] = {"base64": base64.b64encode(b'{"amount":5}').decode()}


def with_prior(value: Any, head: int = 0) -> Edit:
    def edit(tree: Tree) -> None:
        begin(tree)["prior"] = artifact(tree, value)
        begin(tree)["head"] = head

    return edit


def other_payload(tree: Tree) -> None:
    event = tree["events"][0]
    event["payload"] = '{"amount":6}'
    event["payload_hash"] = payload_hash(event["payload"].encode())


def other_effect(tree: Tree) -> None:
    captured = tree["decisions"][0]["effects"][1]
    captured["effect"]["writes"][0]["key"] = "state:other"
    text = json.dumps(captured["effect"], separators=(",", ":")).encode()
    captured["effect_hash"] = effect_hash(text)


INITIAL = "7e84cbf0f7a7c92c037058665d66152f8eb8580ab2534e52c877bccceb9cc7bf"
NOWHERE = "0" * 64
FAILED = {"ActionFailed": {"action_id": "approve/e1-1", "error": "no"}}
AGAIN = {"begin": {"attempt": 1, "head": 4, "prior": None, "initial": None}}


def put(path: str, value: Any) -> Edit:
    """Set the member of a path of names and numbers."""

    def edit(tree: Any) -> None:
        *steps, last = [int(step) if step.isdecimal() else step for step in path.split("/")]
        for step in steps:
            tree = tree[step]
        tree[last] = value

    return edit


def cut(path: str) -> Edit:
    """Remove the member of a path."""

    def edit(tree: Any) -> None:
        *steps, last = [int(step) if step.isdecimal() else step for step in path.split("/")]
        for step in steps:
            tree = tree[step]
        del tree[last]

    return edit


def edited(edit: Callable[[list[Any]], Any]) -> Edit:
    """Change the records of the first entry."""
    return lambda tree: edit(records(tree))


ENTRY, RECORDS = "journals/0", "journals/0/records"
BEGIN, END = f"{RECORDS}/0/begin", f"{RECORDS}/5/end"
REQUEST = f"{RECORDS}/1/event/ActionRequested"
RESULT = f"{RECORDS}/2/event/ActionSucceeded"
STATE = f"{RECORDS}/3/event/StateUpdated"

REFUSED: dict[str, tuple[str, Edit]] = {
    "a record dropped": ("example", dropped(2, renumber=False)),
    "the first record dropped": ("example", dropped(1, renumber=False)),
    "a record doubled": ("example", inserted(2, {"seq": 2, "event": "Completed"})),
    "a seq moved": ("example", put(f"{RECORDS}/4/seq", 9)),
    "a seq of zero": ("example", put(f"{RECORDS}/1/seq", 0)),
    "an unknown record": ("example", inserted(2, {"note": 1})),
    "an unknown event": ("example", put(f"{RECORDS}/4/event", "Vanished")),
    "an unknown event with a value": ("example", put(f"{RECORDS}/4/event", {"Vanished": {}})),
    "an event with more members": ("example", put(f"{RESULT}/more", 1)),
    "an event without a member": ("example", cut(f"{RESULT}/output")),
    "a record that is no object": ("example", inserted(1, 5)),
    "members in another order": ("example", put(f"{RECORDS}/4", {"event": "Completed", "seq": 4})),
    "no begin": ("example", cut(f"{RECORDS}/0")),
    "no end": ("example", cut(f"{RECORDS}/5")),
    "nothing": ("example", put(RECORDS, [])),
    "two begins": ("example", edited(lambda journal: journal.insert(0, journal[0]))),
    "two ends": ("example", edited(lambda journal: journal.append(journal[-1]))),
    "a call too many": ("example", edited(lambda journal: journal.extend([AGAIN, journal[-1]]))),
    "a frame with more members": ("example", put(f"{BEGIN}/more", 1)),
    "a frame with fewer members": ("example", cut(f"{BEGIN}/prior")),
    "another attempt": ("example", put(f"{BEGIN}/attempt", 1)),
    "another head": ("example", put(f"{BEGIN}/head", 1)),
    "a negative head": ("example", put(f"{BEGIN}/head", -1)),
    "a head of another turn": ("room", put("journals/1/records/0/begin/head", 2)),
    "prior records that are not there": ("example", put(f"{BEGIN}/prior", NOWHERE)),
    "prior records that are none": ("example", with_prior({"no": "array"})),
    "prior records with a gap": ("example", with_prior([{"event": "Completed", "seq": 2}], 1)),
    "prior records of an unknown kind": ("example", with_prior([{"event": "Vanished", "seq": 1}], 1)),
    "fewer prior records than the head": ("example", with_prior([], 1)),
    "an initial state that is not there": ("example", put(f"{BEGIN}/initial", NOWHERE)),
    "a termination that is none": ("example", put(f"{END}/termination", "Done")),
    "a status that is none": ("example", put(f"{END}/status", {"status": "Running"})),
    "a status in another order": ("example", put(f"{END}/status", {"recoverable": False, "status": "Failed"})),
    "an error without code": ("example", put(f"{END}/error", {"message": ""})),
    "an entry dropped": ("example", put("journals", [])),
    "an entry doubled": ("example", lambda tree: tree["journals"].append(tree["journals"][0])),
    "entries swapped": ("room", lambda tree: tree["journals"].reverse()),
    "an entry with more members": ("example", put(f"{ENTRY}/more", 1)),
    "another episode": ("example", put(f"{ENTRY}/episode_id", 1)),
    "an entry of a close": ("example", put(f"{ENTRY}/episode_id", None)),
    "no run": ("example", put(f"{ENTRY}/run_id", "")),
    "a later turn in a run of its own": ("room", put("journals/1/run_id", "other")),
    "an artifact changed": ("example", put(f"artifacts/{INITIAL}", {"json": {"amount": 6}})),
    "an artifact dropped": ("example", put("artifacts", {})),
    "an artifact that nothing names": ("example", lambda tree: artifact(tree, 1)),
    "an artifact in the other form": ("example", as_base64),
    "an artifact in no form": ("example", put(f"artifacts/{INITIAL}", {})),
    "an artifact in both forms": ("example", put(f"artifacts/{INITIAL}", {"json": {"amount": 5}, "base64": ""})),
    "an artifact in no base64": ("example", put(f"artifacts/{INITIAL}", {"base64": "*"})),
    "more retries": ("example", put("decisions/0/retry_count", 1)),
    "fewer retries": ("retried", put("decisions/0/retry_count", 0)),
    "an episode that never ran": ("example", put("decisions/0/decision", "Skip")),
    "an attempt dropped at the front": ("retried", without_first_attempt),
}

FOUND: dict[str, tuple[str, Edit, str]] = {
    "another action": (
        "example",
        put(f"{REQUEST}/payload/CallTool/tool", "x"),
        "journals[0].records[1].event.ActionRequested.payload.CallTool.tool",
    ),
    "another action id": (
        "example",
        put(f"{REQUEST}/action_id", "x"),
        "journals[0].records[1].event.ActionRequested.action_id",
    ),
    "a result of another action": (
        "example",
        put(f"{RESULT}/action_id", "x"),
        "journals[0].records[2].event.ActionSucceeded.action_id",
    ),
    "another result": (
        "example",
        put(f"{RESULT}/output", 0.75),
        "journals[0].records[3].event.StateUpdated.payload.score",
    ),
    "an integer for a float": (
        "example",
        put(f"{RESULT}/output", 1),
        "journals[0].records[3].event.StateUpdated.payload.score",
    ),
    "a failure for a result": ("example", put(f"{RECORDS}/2/event", FAILED), "journals[0].records[3]"),
    "another state emitted": (
        "example",
        put(f"{STATE}/payload/score", 1),
        "journals[0].records[3].event.StateUpdated.payload.score",
    ),
    "another step": ("example", put(f"{STATE}/step_id", None), "journals[0].records[3].event.StateUpdated.step_id"),
    "another end": (
        "example",
        put(f"{RECORDS}/4/event", {"Interrupted": {"value": 1}}),
        "journals[0].records[4].event",
    ),
    "a result dropped": ("example", dropped(2, renumber=True), "journals[0].records[2]"),
    "the last record dropped": ("example", dropped(4, renumber=True), "journals[0].records[4]"),
    "a record put in": (
        "example",
        inserted(4, {"seq": 0, "event": {"Resumed": {"value": 1}}}, renumber=True),
        "journals[0].records[4].event",
    ),
    "a record behind the end": (
        "example",
        inserted(5, {"seq": 0, "event": "Completed"}, renumber=True),
        "journals[0].records[5]",
    ),
    "records swapped": ("example", swapped, "journals[0].records[2]"),
    "another initial state": ("example", other_initial, "journals[0].records[0].begin.initial"),
    "no initial state": ("example", without_initial, "journals[0].records[0].begin.initial"),
    "another state": ("example", put(f"{END}/state", NOWHERE), "journals[0].records[5].end.state"),
    "no state": ("example", put(f"{END}/state", None), "journals[0].records[5].end.state"),
    "a status that was not": (
        "example",
        put(f"{END}/status", {"status": "Failed", "recoverable": False}),
        "journals[0].records[5].end.status.status",
    ),
    "no status": ("example", put(f"{END}/status", None), "journals[0].records[5].end.status"),
    "an error that was not": (
        "example",
        put(f"{END}/error", {"code": "kernel.driver", "message": ""}),
        "journals[0].records[5].end.error",
    ),
    "a denial that was not": (
        "example",
        put(f"{END}/error", {"code": "kernel.policy", "message": ""}),
        "journals[0].records[5].end.error",
    ),
    "a deadline that was not": (
        "example",
        put(f"{END}/termination", "TimedOut"),
        "journals[0].records[5].end.termination",
    ),
    "a cancellation that was not": (
        "example",
        put(f"{END}/termination", "Aborted"),
        "journals[0].records[5].end.termination",
    ),
    "a store failure that was not": (
        "example",
        put(f"{END}/termination", {"Failed": "AdapterUnavailable"}),
        "journals[0].records[5].end.termination",
    ),
    "another end of a failed attempt": (
        "retried",
        put(f"{RECORDS}/3/end/termination", "Completed"),
        "journals[0].records[3].end.termination",
    ),
    "another run": (
        "example",
        put(f"{ENTRY}/run_id", "approve/e2"),
        "journals[0].records[1].event.ActionRequested.action_id",
    ),
    "another answer": (
        "room",
        put("journals/1/records/1/event/Resumed/value/text", "hello"),
        "journals[1].records[1].event.Resumed.value.text",
    ),
    "another question": (
        "room",
        put("journals/1/records/4/event/Interrupted/value/turn", 9),
        "journals[1].records[4].event.Interrupted.value.turn",
    ),
    "an attempt dropped at the end": ("retried", without_last_attempt, "termination"),
    "fewer retries allowed": ("retried", put("config/max_retries", 0), "termination"),
    "another termination": ("example", put("decisions/0/termination", {"Failed": "SemanticError"}), "termination"),
    "another effect": ("example", other_effect, "effects[1].writes[0].key"),
    "an effect dropped": ("example", cut("decisions/0/effects/1"), "effects[1]"),
    "another payload": ("example", other_payload, "journals[0].records[0].begin.initial"),
    "another event": ("example", put("events/0/event_id", "e9"), "event_id"),
    "another deadline": ("example", put("decisions/0/deadline", {"secs": 1, "nanos": 0}), "deadline"),
}

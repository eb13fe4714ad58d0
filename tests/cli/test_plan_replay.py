"""Plan bundles from the command line: today's program against the recording, with no world to ask."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from replayed_kernels import resealed_entry, sealed

from tests.cli.plan_projects import BUNDLE, KEPT, Home, divergences, edit, events_of, settlement
from tests.conftest import Ergo

GONE = "raise RuntimeError('no world')\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example, its world broken: an import of it fails."""
    folder = settlement(tmp_path)
    (folder / "settlement" / "world.py").write_text(GONE)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "own")


def replayed(ergo: Ergo, project: Path, *arguments: str) -> list[Any]:
    """The divergences of a replay that finds some."""
    ran = ergo("replay", *arguments, "--format", "json", cwd=project)
    assert ran.exit_code == 1, ran.stdout + ran.stderr
    found = divergences(ran)
    assert {(each["kind"], each["code"]) for each in found} == {("journal", "replay.journal_mismatch")}
    return found


# --- nothing changed


def test_the_kept_bundle_replays_strictly_without_its_world(ergo: Ergo, project: Path) -> None:
    ran = ergo("replay", KEPT, "--strict", cwd=project)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout == f"match  {KEPT}  4 events, 4 invoked\n"
    refused = ergo("capture", "-o", "b.json", "--format", "json", cwd=project)
    assert (refused.exit_code, refused.report["error"]["code"]) == (3, "program.import_failed")


def test_a_state_written_otherwise_is_the_same(ergo: Ergo, project: Path) -> None:
    edit(project / "settlement" / "plan.py", "* FEE).quantize", "* Decimal('0.002')).quantize")
    assert ergo("replay", KEPT, cwd=project).exit_code == 0


# --- what differs


def test_another_write_is_named_with_state_attempt_and_both_values(ergo: Ergo, project: Path) -> None:
    edit(project / "settlement" / "plan.py", "* FEE).quantize", "* FEE + 1).quantize")
    first, second, third = replayed(ergo, project, KEPT)
    assert (first["cause"], first["node"], first["event_id"]) == (
        "snapshot_mismatch",
        "settlement.main.fee#0",
        "f-0900",
    )
    assert first["path"] == "journals[0].records[8].event.Kernel.StateCompleted.context_snapshot_id"
    assert [each["event_id"] for each in (second, third)] == ["f-0910", "f-0920"], "f-0930 fails before that state"
    text = ergo("replay", KEPT, cwd=project).stdout
    assert '  ~ fee  "0.26" -> "1.26"  by settlement.main.fee#0\n' in text
    assert "snapshot_mismatch" not in text
    assert "snapshot_mismatch" in ergo("replay", KEPT, "-v", cwd=project).stdout


def test_a_strict_replay_does_not_compare_another_program(ergo: Ergo, project: Path) -> None:
    edit(project / "settlement" / "plan.py", "* FEE).quantize", "* FEE + 1).quantize")
    ran = ergo("replay", KEPT, "--strict", "--format", "json", cwd=project)
    assert (ran.exit_code, ran.report["error"]["code"]) == (4, "replay.runtime_provenance_mismatch")
    assert ran.report["error"]["details"][1].startswith("got: 'ppv1:sha256:")


ASK = '{"currency": ctx.read("currency")}, "rate")'
RATE = 'ctx.write("rate", answer.response["rate"])'
HELD = 'rec.emit("invoice_held", {"invoice": ctx.read("invoice")})'
FACT = "event.Domain.payload"


@pytest.mark.parametrize(
    ("old", "new", "cause", "node", "path", "values"),
    [
        (
            ASK,
            '{"currency": ctx.read("currency"), "day": 5}, "rate")',
            "request_mismatch",
            "settlement.main.quote#0",
            f"journals[0].records[3].{FACT}.meta.request_sha256",
            None,
        ),
        (
            ASK,
            ASK.replace('"rate")', '"quote")'),
            "missing_fact",
            "settlement.main.quote#0",
            f"journals[0].records[3].{FACT}.key",
            ("rate", "quote"),
        ),
        (
            RATE,
            f'{RATE}\n    io.call("quotes.rate", {{}}, "more")',
            "missing_fact",
            "settlement.main.quote#0",
            "journals[0].records[4].event",
            None,
        ),
        (
            f'io.call("quotes.rate", {ASK}\n    {RATE}',
            'None\n    ctx.write("rate", "1.0650")',
            "missing_fact",
            "settlement.main.quote#0",
            "journals[0].records[3].event",
            None,
        ),
        (
            HELD,
            'rec.emit("invoice_held", {"invoice": "i-9"})',
            "event_mismatch",
            "settlement.main.pay#0",
            f"journals[4].records[16].{FACT}.invoice",
            ("i-3", "i-9"),
        ),
        (
            HELD,
            HELD.replace("invoice_held", "held"),
            "event_mismatch",
            "settlement.main.pay#0",
            "journals[4].records[16].event.Domain.name",
            ("invoice_held", "held"),
        ),
        (HELD, "pass", "event_mismatch", "settlement.main.pay#0", "journals[4].records[16].event", None),
        (
            '"to": ctx.read("supplier")',
            '"to": "mallory"',
            "request_mismatch",
            "settlement.main.pay#0",
            f"journals[0].records[16].{FACT}.meta.effect.request.to",
            ("anna", "mallory"),
        ),
        (
            'idempotency="settlement-transfer"',
            'idempotency="other"',
            "request_mismatch",
            "settlement.main.pay#0",
            f"journals[0].records[16].{FACT}.meta.effect.idempotency_key",
            ("settlement-transfer", "other"),
        ),
        (
            'ctx.write("status", "paid")',
            'raise ValueError("no")',
            "status_mismatch",
            "settlement.main.pay#0",
            "journals[0].records[17].event.Kernel",
            None,
        ),
        (
            "max_attempts=3",
            "max_attempts=1",
            "order_mismatch",
            None,
            "journals[2].records[5].event.Kernel",
            None,
        ),
        (
            '"settlement.main.fee"),\n        ("settlement.main.convert", "settlement.main.screen")',
            '"settlement.main.screen"),\n        ("settlement.main.convert", "settlement.main.fee")',
            "order_mismatch",
            "settlement.main.screen#0",
            "journals[0].records[7].event.Kernel.StateEntered.state_id",
            ("settlement.main.fee", "settlement.main.screen"),
        ),
        (
            '{"supplier": ctx.read("supplier")}',
            '{"supplier": "anna"}',
            "event_mismatch",
            None,
            "journals[3].records[0].event.Kernel.RunStarted.initial_snapshot_id",
            None,
        ),
    ],
    ids=[
        "request",
        "fact key",
        "new fact",
        "fact not asked for",
        "payload of an event",
        "name of an event",
        "no event",
        "intent",
        "idempotency key",
        "failure",
        "attempts",
        "order",
        "first context of a child",
    ],
)
def test_another_step_is_named_with_cause_and_place(
    ergo: Ergo, project: Path, old: str, new: str, cause: str, node: str | None, path: str, values: Any
) -> None:
    edit(project / "settlement" / "plan.py", old, new)
    first = replayed(ergo, project, KEPT)[0]
    assert (first["cause"], first["node"], first["path"]) == (cause, node, path)
    assert first["expected"] != first["actual"]
    assert values is None or (first["expected"], first["actual"]) == values
    assert cause not in ergo("replay", KEPT, cwd=project).stdout
    assert cause in ergo("replay", KEPT, "-v", cwd=project).stdout


@pytest.mark.parametrize(
    ("old", "new", "cause", "record"),
    [
        ("is not None", "is None", "snapshot_mismatch", 3),
        ('{"name": ctx.read("supplier")}', '{"name": "x"}', "request_mismatch", 2),
    ],
)
def test_another_step_of_a_child_is_named_in_the_childs_journal(
    ergo: Ergo, project: Path, old: str, new: str, cause: str, record: int
) -> None:
    edit(project / "settlement" / "screening.py", old, new)
    first = replayed(ergo, project, KEPT)[0]
    assert (first["cause"], first["node"]) == (cause, "screening.main.look_up#0")
    assert first["path"].startswith(f"journals[1].records[{record}].event.")


def test_every_divergence_stands_alone(ergo: Ergo, project: Path) -> None:
    """The state behind one that differs is judged on the recorded context."""
    edit(project / "settlement" / "plan.py", 'ctx.write("euros", str(', 'ctx.write("euros", str(1 + ')
    assert {each["node"] for each in replayed(ergo, project, KEPT)} == {"settlement.main.convert#0"}


def test_another_failure_counts_under_strict_alone(ergo: Ergo, home: Home) -> None:
    """What the handler says comes from a file that is not part of the program."""
    (home.root / "reason.txt").write_text("closed")
    home.one('raise StateError.of(open("reason.txt").read(), "no")').capture(ergo)
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0
    (home.root / "reason.txt").write_text("open")
    excused = ergo("replay", BUNDLE, "--format", "json", cwd=home.root)
    assert excused.exit_code == 0
    [warning] = excused.report["bundles"][0]["warnings"]
    assert "1 difference that only --strict counts, the first unreproducible_failure at own.main.one#0" in str(warning)
    [found] = replayed(ergo, home.root, BUNDLE, "--strict")
    assert (found["cause"], found["node"]) == ("unreproducible_failure", "own.main.one#0")
    assert found["path"] == "journals[0].records[3].event.Kernel.StateFailed.error.info.code"
    assert (found["expected"], found["actual"]) == ("closed", "open")


def test_a_failure_that_does_not_come_again_counts_under_strict_alone(ergo: Ergo, home: Home) -> None:
    (home.root / "closed").touch()
    home.one('if __import__("os").path.exists("closed"):', '    raise StateError.of("closed", "no")').capture(ergo)
    (home.root / "closed").unlink()
    excused = ergo("replay", BUNDLE, cwd=home.root)
    assert excused.exit_code == 0
    assert "unreproducible_failure at own.main.one#0" in excused.stderr
    [found] = replayed(ergo, home.root, BUNDLE, "--strict")
    assert (found["cause"], found["node"]) == ("unreproducible_failure", "own.main.one#0")


def test_a_retried_state_replays_both_attempts(ergo: Ergo, home: Home) -> None:
    body = (
        'ctx.write("at", io.now_millis())',
        'if io.get_recorded_fact("tried") is None:',
        '    io.record_value("tried", 1)',
        '    raise StateError.of("again", "not yet", retryable=True)',
    )
    bundle = home.one(*body, more="run_config=run_config(max_attempts=2)").capture(ergo)
    entered = [event["StateEntered"] for event in events_of(bundle["journals"][0]) if "StateEntered" in event]
    assert [each["attempt"] for each in entered] == [0, 1]
    assert entered[0]["base_snapshot_id"] == entered[1]["base_snapshot_id"]
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


CUT_OFF = """
def begin(ctx, io, rec):
    ctx.write("b", 1)

def end(ctx, io, rec):
    ctx.write("e", io.call("a.b", {"q": 1}, "k").response)

def one(ctx, io, rec):
    spawned = spawn_child(io, rec, "kid", op_id="kid", op_version="1", run_config=run_config())
    ctx.write("ended", await_child(io, rec, "kid_ended", spawned).response["status"])

STATES = (State("kid.main.begin", begin), State("kid.main.end", end))
kid = PlanProgram("kid", "1", STATES, (("kid.main.begin", "kid.main.end"),))
"""


@pytest.fixture
def cut_off(ergo: Ergo, home: Home) -> Home:
    """A bundle of an event whose first call was cut off by the deadline in the second state of a child."""
    home.program(CUT_OFF, 'State("own.main.one", one),', 'children=(kid,), transports={"a": "own.world:ask"}')
    home.world(
        "asked.append(1)\n    if len(asked) == 1:\n        time.sleep(600)\n    return 5", "import time\nasked = []"
    )
    bundle = home.capture(ergo, "--deadline", "2s", "--max-retries", "1")
    assert [len(entry["records"]) for entry in bundle["journals"][1:]] == [4, 4]
    return home


def test_a_child_that_was_cut_off_is_judged_from_its_beginning_to_its_end(ergo: Ergo, cut_off: Home) -> None:
    assert ergo("replay", BUNDLE, "--strict", cwd=cut_off.root).exit_code == 0
    program = cut_off.root / "own" / "program.py"
    edit(program, '"b", 1)', '"b", 1 + 1)')
    edit(program, '{"q": 1}', '{"q": 1 + 1}')
    found = replayed(ergo, cut_off.root, BUNDLE)
    assert [(each["cause"], each["node"]) for each in found] == [
        ("snapshot_mismatch", "kid.main.begin#0"),
        ("request_mismatch", "kid.main.end#1"),
    ]
    assert [each["path"].partition(".event")[0] for each in found] == [
        "journals[1].records[2]",
        "journals[2].records[1]",
    ]


def test_attempts_of_a_child_that_were_cut_off_count(ergo: Ergo, home: Home) -> None:
    """Of two attempts one was cut off, the other one failed: there is no third, and none in the replay."""
    text = CUT_OFF.replace("run_config=run_config()", "run_config=run_config(max_attempts=2)")
    home.program(text, 'State("own.main.one", one),', 'children=(kid,), transports={"a": "own.world:ask"}')
    fails = 'raise transport_failed("down", "no", retryable=True)'
    home.world(
        f"asked.append(1)\n    if len(asked) == 1:\n        time.sleep(600)\n    {fails}", "import time\nasked = []"
    )
    bundle = home.capture(ergo, "--deadline", "2s", "--max-retries", "1")
    entered = [
        event["StateEntered"]["attempt"] for event in events_of(bundle["journals"][2]) if "StateEntered" in event
    ]
    assert entered == [1]
    replayed = ergo("replay", BUNDLE, "--strict", cwd=home.root)
    assert replayed.exit_code == 0, replayed.stdout


# --- bundles that were edited


def record(tree: Any) -> None:
    tree["journals"][0]["records"][4]["event"]["Kernel"]["StateCompleted"]["state_id"] = "settlement.main.fee"
    resealed_entry(tree["journals"][0])


def gap(tree: Any) -> None:
    del tree["journals"][0]["records"][4]
    resealed_entry(tree["journals"][0])


def entry(tree: Any) -> None:
    tree["journals"][0]["records"][3]["event"]["Domain"]["payload"]["key"] = "other"


def error_of_a_call(tree: Any) -> None:
    tree["journals"][2]["records"][3]["event"]["Domain"]["payload"] = {}
    resealed_entry(tree["journals"][2])


def artifact(tree: Any) -> None:
    name = next(
        name for name, value in tree["artifacts"].items() if value["json"] == {"currency": "CHF", "rate": "1.0650"}
    )
    tree["artifacts"][name] = {"json": {"currency": "CHF", "rate": "2.0000"}}


def missing_artifact(tree: Any) -> None:
    del tree["artifacts"][next(iter(tree["artifacts"]))]


def another_artifact(tree: Any) -> None:
    tree["artifacts"]["5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"] = {"json": 0}


def child(tree: Any) -> None:
    del tree["journals"][1]


@pytest.mark.parametrize("change", [record, gap, entry, error_of_a_call, artifact, missing_artifact])
def test_an_edited_bundle_is_refused_by_every_command(ergo: Ergo, project: Path, change: Callable[[Any], None]) -> None:
    tree = json.loads((project / KEPT).read_bytes())
    change(tree)
    (project / "edited.json").write_bytes(sealed(tree))
    for command in (
        ("replay", "edited.json"),
        ("replay", "--strict", "edited.json"),
        ("diff", KEPT, "edited.json"),
        ("inspect", "edited.json"),
        ("explain", "edited.json", "--event", "f-0930"),
    ):
        ran = ergo(*command, "--format", "json", cwd=project)
        assert (ran.exit_code, ran.report["error"]["code"]) == (3, "bundle.journal_invalid"), command
    ran = ergo("validate", "edited.json", "--format", "json", cwd=project)
    assert ran.exit_code == 3
    assert [error["code"] for error in ran.report["files"][0]["errors"]] == ["bundle.journal_invalid"]


def test_a_byte_that_changed_is_found_by_the_digest(ergo: Ergo, project: Path) -> None:
    text = (project / KEPT).read_text()
    (project / "edited.json").write_text(text.replace('"1.0650"', '"1.0651"'))
    ran = ergo("replay", "edited.json", "--format", "json", cwd=project)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "bundle.digest_mismatch")


@pytest.mark.parametrize("change", [child, another_artifact])
def test_artifacts_that_nothing_names_are_noticed(ergo: Ergo, project: Path, change: Callable[[Any], None]) -> None:
    tree = json.loads((project / KEPT).read_bytes())
    change(tree)
    (project / "edited.json").write_bytes(sealed(tree))
    ran = ergo("replay", "edited.json", "--strict", "--format", "json", cwd=project)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "bundle.journal_invalid")


# --- the other commands


def test_diff_compares_two_captures(ergo: Ergo, home: Home) -> None:
    body = 'ctx.write("answer", io.call("a.b", {"q": 1}, "k").response)'
    home.one(body, more='transports={"a": "own.world:ask"}')
    home.capture(ergo, "-o", "captures/default.capture.json")
    home.world("return 22")  # of another length: Python compares sizes and whole seconds
    assert ergo("capture", "-o", "two.json", cwd=home.root).exit_code == 0
    assert ergo("diff", BUNDLE, BUNDLE, cwd=home.root).exit_code == 0
    ran = ergo("diff", BUNDLE, "two.json", "--format", "json", cwd=home.root)
    assert ran.exit_code == 1
    effect, journal = divergences(ran)
    assert (effect["kind"], effect["expected"], effect["actual"]) == ("effect_changed", "1", "22")
    assert (journal["kind"], journal["cause"]) == ("journal", "event_mismatch")
    assert journal["path"] == "journals[0].records[3].event.Domain.payload.payload_id"


def test_explain_lists_the_events_of_a_run(ergo: Ergo, project: Path) -> None:
    episode = ergo("explain", KEPT, "--event", "f-0910", "--format", "json", cwd=project).report["episode"]
    assert [(node["id"], node["impl"], node["path"]) for node in episode["nodes"][:6]] == [
        ("1", "RunStarted", ""),
        ("2", "StateEntered", "settlement.main.quote#0"),
        ("3", "call_failed", "rate"),
        ("4", "StateFailed", "settlement.main.quote"),
        ("5", "StateEntered", "settlement.main.quote#1"),
        ("6", "fact_recorded", "rate"),
    ]
    assert episode["nodes"][3]["outputs"]["error"] == "market_busy: the rate of USD is not fixed yet"
    text = ergo("explain", KEPT, "--event", "f-0910", cwd=project).stdout
    assert "spawned run 6066ec19-19fa-59a2-8949-62f9a2446918\n" in text
    assert "screening.main.look_up#0" in text
    text = ergo("explain", KEPT, "--event", "f-0930", cwd=project).stdout
    assert "currency_unknown: there is no rate of XAU" in text
    assert "Failed(SemanticError)" in text


def test_explain_says_of_each_state_why_it_ran(ergo: Ergo, project: Path) -> None:
    episode = ergo("explain", KEPT, "--event", "f-0910", "--format", "json", cwd=project).report["episode"]
    run, child = "e401cff3-9ed9-5a30-81e6-b7110728af77", "6066ec19-19fa-59a2-8949-62f9a2446918"
    first, *_, last = episode["states"]
    assert first == {
        "run_id": run,
        "state": "settlement.main.quote",
        "why": "attempt 0 failed with market_busy at seq 4; attempt 1 completed at seq 7",
    }
    assert last == {"run_id": child, "state": "screening.main.look_up", "why": "attempt 0 completed at seq 4"}
    text = ergo("explain", KEPT, "--event", "f-0910", cwd=project).stdout
    assert [" ".join(line.split()) for line in text.splitlines()].count(f"{last['state']} {last['why']}") == 1


def test_a_state_left_out_by_its_tags_is_explained(ergo: Ergo, home: Home) -> None:
    home.one(
        "raise ValueError",
        meta='StateMeta(tags=("impure", "slow"))',
        more='run_config=run_config(skip_tags=("slow", "late"))',
    )
    home.capture(ergo)
    [state] = ergo("explain", BUNDLE, "--event", "e1", "--format", "json", cwd=home.root).report["episode"]["states"]
    why = "attempt 0 skipped by skip_tags (slow, late) or completed without a trace at seq 3"
    assert (state["state"], state["why"]) == ("own.main.one", why)


def test_inspect_counts_the_events(ergo: Ergo, project: Path) -> None:
    found = ergo("inspect", KEPT, "--format", "json", cwd=project).report["inspect"]
    assert found["program"] == {"kind": "plan", "ref": "settlement.plan:program"}
    assert (found["journals"]["entries"], found["journals"]["runs"]) == (7, 7)
    counts = found["journals"]["records"]
    assert (counts["RunStarted"], counts["child_run_spawned"], counts["call_failed"]) == (7, 3, 2)


def test_validate_takes_the_bundle_and_the_project(ergo: Ergo, project: Path) -> None:
    assert ergo("validate", KEPT, "ergo.toml", "--strict", cwd=project).exit_code == 0

"""Pipeline bundles from the command line: today's program against the recording, with no world to act on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from replayed_kernels import resealed_entry, sealed

from ergo_cli.programs.pipeline.effects import canonical_hash
from tests.cli.pipeline_projects import BUNDLE, GONE, KEPT, Home, data, divergences, edit, frames, orders, records
from tests.conftest import Ergo

KEEP = "def kept(event):\n    pass\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example, its world broken: an import of it fails."""
    folder = orders(tmp_path)
    (folder / "orders" / "world.py").write_text(GONE)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "own")


def replayed(ergo: Ergo, project: Path, *arguments: str) -> list[Any]:
    """The divergences of a replay that finds some."""
    ran = ergo("replay", *arguments, "--format", "json", cwd=project)
    assert ran.exit_code == 1, ran.stdout + ran.stderr
    return divergences(ran)


def journal_ones(found: list[Any]) -> list[tuple[str, str, Any, Any, str, str]]:
    """Of the divergences in journals: path, cause, both sides, stage and origin."""
    return [
        (each["path"], each["cause"], each["expected"], each["actual"], each["node"], each["origin"])
        for each in found
        if each["kind"] == "journal"
    ]


# --- nothing changed


def test_the_kept_bundle_replays_strictly_without_its_world(ergo: Ergo, project: Path) -> None:
    ran = ergo("replay", KEPT, "--strict", cwd=project)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout == f"match  {KEPT}  8 events, 8 invoked\n"
    refused = ergo("capture", "-o", "b.json", "--format", "json", cwd=project)
    assert (refused.exit_code, refused.report["error"]["code"]) == (3, "program.import_failed")


def test_every_row_of_the_example_counts_and_nothing_else_does(ergo: Ergo, project: Path) -> None:
    """§22.4: each row of data, changed in the recording, is named; times, counts of readers and receipts are not."""
    text = (project / KEPT).read_text()
    places = [
        (entry, place)
        for entry, found in enumerate(json.loads(text)["journals"])
        for place, record in enumerate(found["records"])
        if "journal" in record
    ]
    expected: dict[str, tuple[str, str, str] | None] = {}
    for number, (entry, place) in enumerate(places):
        bundle = json.loads(text)
        record = bundle["journals"][entry]["records"][place]
        event, journal = record["record"]["event"], record["journal"]
        at = f"journals[{entry}].records[{place}].record.event.content"
        content = event.get("content", {})
        if content.get("event_type") == "obzenflow.effect_record.v1":
            descriptor = content["payload"]["descriptor"]
            descriptor["label"] = "another"
            content["payload"]["descriptor_hash"] = canonical_hash(descriptor)
            finding = (f"{at}.payload.descriptor.label", "effect_identity", journal.partition(":")[2])
        elif content.get("content_type") == "data":
            content["payload"] = [1]
            finding = (f"{at}.payload", "payload", journal.partition(":")[2])
        elif number % 6:
            continue
        else:
            finding = None
            event.get("processing_info", event)["event_time" if "processing_info" in event else "timestamp"] = 5
        resealed_entry(bundle["journals"][entry])
        name = f"{number:03}.json"
        (project / "edited").mkdir(exist_ok=True)
        (project / "edited" / name).write_bytes(sealed(bundle))
        expected[f"edited/{name}"] = finding
    ran = ergo("replay", "edited", "--format", "json", cwd=project)
    assert ran.exit_code == 1, ran.stderr
    bundles = {each["path"]: each for each in ran.report["bundles"]}
    assert bundles.keys() == expected.keys()
    assert sum(finding is not None for finding in expected.values()) > 20
    for path, finding in expected.items():
        found = [(each["path"], each["cause"], each["node"]) for each in bundles[path]["divergences"]]
        assert found == ([] if finding is None else [finding]), path


def test_a_stage_written_otherwise_is_the_same(ergo: Ergo, project: Path) -> None:
    edit(project / "orders" / "pipeline.py", "return [event]", "return [Event(event.event_type, dict(event.payload))]")
    assert ergo("replay", KEPT, cwd=project).exit_code == 0
    strict = ergo("replay", KEPT, "--strict", "--format", "json", cwd=project)
    assert (strict.exit_code, strict.report["error"]["code"]) == (4, "replay.runtime_provenance_mismatch")


def test_a_renamed_program_gets_the_recorded_effects(ergo: Ergo, project: Path) -> None:
    """All ids follow from the name; none of them takes part (§21, §22.4)."""
    edit(project / "orders" / "pipeline.py", '    "orders",\n    stages', '    "sales",\n    stages')
    ran = ergo("replay", KEPT, cwd=project)
    assert ran.exit_code == 0, ran.stdout
    assert "the recorded flow has another manifest: flow_name, stages differ" in ran.stderr


def test_a_new_stage_has_rows_that_were_not_recorded_and_shifts_nothing(ergo: Ergo, project: Path) -> None:
    program = project / "orders" / "pipeline.py"
    edit(program, '        transform("check", check),', '        transform("check", check), transform("note", check),')
    edit(program, '("check", "price"),', '("check", "note"), ("note", "price"),')
    edit(program, '            "check",\n            strict(', '            "note",\n            strict(')
    found = replayed(ergo, project, KEPT)
    assert {(each["cause"], each["origin"], each["expected"]) for each in found} == {("missing_row", "note", None)}
    rows = [each for each in found if each["actual"]["record"]["event"]["content"]["content_type"] == "data"]
    assert {each["node"] for each in rows} == {"note"}
    assert len(rows) == 5, "six orders, one of which never came past the check"
    ends = [each["actual"]["record"]["event"]["content"]["flow_control_type"] for each in found if each not in rows]
    assert set(ends) == {"eof"}, "each EOF is copied by all stages behind it"


# --- what differs

PAYLOAD = "record.event.content.payload"


def test_a_changed_transform_is_named_with_stage_record_and_both_sides(ergo: Ergo, project: Path) -> None:
    """Ten pens are 1200 cents; with a discount of one cent a piece 1190. All that follows names its origin."""
    edit(
        project / "orders" / "pipeline.py", 'article.payload["cents"] * order', '(article.payload["cents"] - 1) * order'
    )
    found = replayed(ergo, project, KEPT)
    first, *others = journal_ones(found)
    assert first == (f"journals[2].records[6].{PAYLOAD}.cents", "payload", 1200, 1190, "price", "price")
    assert {(each[4], each[5]) for each in others} == {("price", "price"), ("baskets", "price"), ("till", "price")}
    assert (found[0]["event_id"], found[0]["seq"]) == ("m-0905", 2)
    charged = [each for each in found if each["path"].endswith("fields[1].value.String")]
    assert [(each["event_id"], each["node"], each["origin"]) for each in charged] == [
        ("m-0915", "till", "price"),
        ("m-0920", "till", "price"),
    ], "both effects are asked for, with other amounts, and both get their recorded outcome"
    text = ergo("replay", KEPT, cwd=project).stdout
    assert "\nevent m-0905  stage price\n" in text
    assert "\n  ~ till" not in text, "what follows from the price is counted"
    assert "records after it differ too (--list)\n" in text


def test_another_order_of_outputs_is_compared_row_by_row(ergo: Ergo, home: Home) -> None:
    twice = 'def both(event):\n    n = event.payload["n"]\n    return [Event("a", n), Event("b", -n)]\n'
    home.program('source("in")', 'transform("mid", both)', 'sink("out", kept)', handlers=twice + KEEP)
    home.capture(ergo)
    edit(home.root / "own.py", '[Event("a", n), Event("b", -n)]', '[Event("b", -n), Event("a", n)]')
    found = journal_ones(replayed(ergo, home.root, BUNDLE))
    assert [each[1:] for each in found[:2]] == [
        ("kind", "a", "b", "mid", "mid"),
        ("kind", "b", "a", "mid", "mid"),
    ]
    assert len(found) == 6, "two rows of each of three episodes; the end counts as many"


def test_another_count_of_events_shows_in_the_rows_and_in_the_evidence_of_the_end(ergo: Ergo, home: Home) -> None:
    once = 'def one(event):\n    return [Event("a", 1)][: event.payload["n"]]\n'
    home.program('source("in")', 'transform("mid", one)', 'sink("out", kept)', handlers=once + KEEP)
    home.capture(ergo)
    edit(home.root / "own.py", 'event.payload["n"]]', 'event.payload["n"] % 2]')
    found = replayed(ergo, home.root, BUNDLE)
    missing, *ends = journal_ones(found)
    assert (missing[1], missing[2]["journal"], missing[3], missing[4]) == ("missing_row", "data:mid", None, "mid")
    assert [each[1:] for each in ends] == [("payload", 3, 2, "mid", "mid")], "two of three events are left"
    assert ends[0][0].endswith("content.writer_seq")
    closing = next(each for each in found if each["path"] == ends[0][0])
    assert (closing["seq"], closing["event_id"]) == (3, None)


EFFECTS = 'effects={"bank.pay": "world:pay"}'
PAY = 'def pay(event, effects):\n    effects.perform("bank.pay", event.payload)\n'
WORLD = "def pay(given, call):\n    return given\n"


@pytest.fixture
def paying(home: Home, ergo: Ergo) -> Home:
    home.program('source("in")', 'sink("out", pay)', handlers=PAY, more=EFFECTS)
    home.world(WORLD)
    home.capture(ergo)
    home.world(GONE)
    return home


def test_an_effect_that_asks_for_something_else_gets_the_recorded_outcome_and_differs(ergo: Ergo, paying: Home) -> None:
    edit(paying.root / "own.py", "event.payload)", '{"n": event.payload["n"] % 3})')
    found = replayed(ergo, paying.root, BUNDLE)
    [(path, cause, expected, actual, stage, origin)] = journal_ones(found)
    assert path == f"journals[2].records[2].{PAYLOAD}.descriptor.canonical_input_hash"
    assert (cause, stage, origin) == ("effect_identity", "out", "out")
    assert len(expected) == len(actual) == 64
    [request] = [each for each in found if each["kind"] == "effect_changed"]
    assert (request["expected"], request["actual"], request["node"]) == ('{"n":3}', '{"n":0}', "out")


def test_an_effect_that_was_never_performed_fails_its_stage_and_reaches_nothing(ergo: Ergo, paying: Home) -> None:
    edit(
        paying.root / "own.py", "event.payload)", 'event.payload)\n    effects.perform("bank.pay", event.payload["n"])'
    )
    found = replayed(ergo, paying.root, BUNDLE)
    first = journal_ones(found)[0]
    assert (first[1], first[2], first[4]) == ("missing_recorded_effect", None, "out")
    assert first[3]["cursor"]["effect_ordinal"] == 1
    endings = [(each["event_id"], each["expected"], each["actual"]) for each in found if each["path"] == "termination"]
    assert endings == [
        ("e1", "Completed", {"Failed": "SemanticError"}),
        ("e2", "Completed", "Aborted"),
        ("e3", "Completed", "Aborted"),
    ]
    ran = ergo("replay", BUNDLE, cwd=paying.root)
    assert '~ termination at the end  "Completed" -> "Aborted"' in ran.stdout
    assert "'bank.pay' was never recorded there" in ran.stderr


def test_an_effect_that_is_left_out_is_a_missing_row(ergo: Ergo, paying: Home) -> None:
    edit(paying.root / "own.py", "    effects.perform", '    if event.payload["n"] != 2: effects.perform')
    found = replayed(ergo, paying.root, BUNDLE)
    [(_, cause, expected, actual, stage, _)] = journal_ones(found)
    assert (cause, expected["record"]["event"]["content"]["event_type"], actual, stage) == (
        "missing_row",
        "obzenflow.effect_record.v1",
        None,
        "out",
    )


# --- error rows

FAILING = "def failing(event):\n    raise HandlerError('bad', {kind!r})\n"


@pytest.mark.parametrize(
    ("kind", "journal"),
    [("Validation", "data:mid"), ("Domain", "data:mid"), ("Timeout", "error:mid"), (None, "error:mid")],
)
def test_error_rows_are_compared_where_they_stand(ergo: Ergo, home: Home, kind: str | None, journal: str) -> None:
    """C-80, compared by §22.4: status with message and kind."""
    home.program(
        'source("in")', 'transform("mid", failing)', 'sink("out", kept)', handlers=FAILING.format(kind=kind) + KEEP
    )
    bundle = home.events({"n": 1}).capture(ergo)
    assert data(bundle, journal) == [("in", {"n": 1})]
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0
    edit(home.root / "own.py", "'bad'", "'quite bad'")
    first = journal_ones(replayed(ergo, home.root, BUNDLE))[0]
    assert (first[0].rpartition("status.")[2], first[1], first[4]) == ("Error.message", "status", "mid")
    assert '"bad"' in first[2]
    assert '"quite bad"' in first[3]


# --- a deadline that passed

SLOW = "import time\ndef pay(given, call):\n    time.sleep(60 if given['n'] == 2 else 0)\n"


@pytest.mark.parametrize(("safety", "code"), [("Safety.IDEMPOTENT", 0), ("Safety.NON_IDEMPOTENT_AT_LEAST_ONCE", 1)])
def test_a_call_that_ran_out_of_time_replays_as_it_was(ergo: Ergo, home: Home, safety: str, code: int) -> None:
    """The executor is abandoned, the flow stops with ``stop_timeout``, later events do nothing (§23.2)."""
    effects = f'effects={{"bank.pay": EffectType("world:pay", {safety})}}'
    home.program('source("in")', 'sink("out", pay)', handlers=PAY, more=effects)
    home.world(SLOW)
    bundle = home.capture(ergo, "--deadline", "2s")
    assert [end["termination"] for end in frames(bundle, "end")] == ["Completed", "TimedOut", "Aborted", "Aborted"]
    home.world(GONE)
    assert ergo("replay", BUNDLE, cwd=home.root).exit_code == 0
    edit(home.root / "own.py", "event.payload)", '{"n": event.payload["n"] % 2})')
    assert ergo("replay", BUNDLE, cwd=home.root).exit_code == code, "only an attempt says what was asked for then"
    edit(home.root / "own.py", "def pay", "def never(event):\n    pass\n\ndef pay")
    edit(home.root / "own.py", 'sink("out", pay)', 'sink("out", never)')
    assert {each[1] for each in journal_ones(replayed(ergo, home.root, BUNDLE))} == {"missing_row"}


def test_a_call_that_ran_out_of_time_is_tried_again_in_vain(ergo: Ergo, home: Home) -> None:
    """The second attempt finds a flow that has ended; its effects, none, take the place of those of the first."""
    home.program('source("in")', 'sink("out", pay)', handlers=PAY, more=EFFECTS)
    home.world(SLOW)
    bundle = home.capture(ergo, "--deadline", "2s", "--max-retries", "3")
    endings = [(each["termination"], each["retry_count"], len(each["effects"])) for each in bundle["decisions"]]
    assert endings == [("Completed", 0, 2), ("Aborted", 1, 0), ("Aborted", 0, 0)]
    assert [end["termination"] for end in frames(bundle, "end")][1:3] == ["TimedOut", "Aborted"]
    home.world(GONE)
    assert ergo("replay", BUNDLE, cwd=home.root).exit_code == 0


def test_a_slow_handler_runs_out_of_time_between_two_stages(ergo: Ergo, home: Home) -> None:
    """Its stage has written when the time is looked at; the stage behind it gets nothing, today as then."""
    slow = 'import time\ndef slow(event):\n    time.sleep({n} if event.payload["n"] == 2 else 0)\n    return [event]\n'
    stages = ('source("in")', 'transform("mid", slow)', 'sink("out", kept)')
    home.program(*stages, handlers=slow.replace("{n}", "2") + KEEP)
    bundle = home.capture(ergo, "--deadline", "1s")
    assert [end["termination"] for end in frames(bundle, "end")][:2] == ["Completed", "TimedOut"]
    home.program(*stages, handlers=slow.replace("{n}", "0.001") + KEEP)
    assert ergo("replay", BUNDLE, cwd=home.root).exit_code == 0


def test_effects_at_the_end_and_of_async_handlers_are_served(ergo: Ergo, home: Home) -> None:
    handlers = (
        'async def act(event, effects):\n    effects.perform("bank.pay", event.payload)\n'
        'def last(effects):\n    effects.perform("bank.pay", {"n": "last"})\n'
    )
    home.program('source("in")', 'sink("out", act, drain=last)', handlers=handlers, more=EFFECTS)
    home.world(WORLD)
    bundle = home.capture(ergo)
    assert [payload["outcome"]["output"] for _, payload in data(bundle, "data:out")] == [
        {"n": 1},
        {"n": 2},
        {"n": 3},
        {"n": "last"},
    ]
    home.world(GONE)
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0
    edit(home.root / "own.py", '{"n": "last"}', '{"n": "the last"}')
    [(path, cause, _, _, stage, _)] = journal_ones(replayed(ergo, home.root, BUNDLE))
    assert (path.startswith("journals[3]."), cause, stage) == (True, "effect_identity", "out")


def test_an_executor_that_is_a_function_of_the_program_is_not_called_by_a_replay(ergo: Ergo, home: Home) -> None:
    """Neither for a recorded effect nor for one that is missing, in an episode or at the end."""
    handlers = (
        'def touch(given, call):\n    open("touched", "a").write("x")\n'
        'def act(event, effects):\n    effects.perform("file.touch", event.payload)\n'
        "def last():\n    pass\n"
    )
    more = 'effects={"file.touch": touch}'
    home.program('source("in")', 'sink("out", act, drain=last)', handlers=handlers, more=more).capture(ergo)
    touched = home.root / "touched"
    assert touched.read_text() == "xxx"
    touched.unlink()
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0
    edit(home.root / "own.py", "def last():\n    pass", 'def last(effects):\n    effects.perform("file.touch")')
    found = replayed(ergo, home.root, BUNDLE)
    assert (found[0]["event_id"], found[0]["cause"]) == (None, "missing_recorded_effect")
    edit(home.root / "own.py", ", event.payload)", ', event.payload), effects.perform("file.touch", 1)')
    assert replayed(ergo, home.root, BUNDLE)
    assert not touched.exists()


# --- fan-in

MERGE = ('source("a")', 'source("b")', 'transform("mid", passed{more})', 'sink("out", kept)')
PASSED = "def passed(event):\n    return [event]\n"


def test_c60_103_inputs_of_several_sources_come_in_the_same_order_in_every_run(ergo: Ergo, home: Home) -> None:
    stages = [stage.replace("{more}", "") for stage in MERGE]
    home.program(*stages, handlers=PASSED + KEEP, edges="a>mid b>mid mid>out")
    home.events(*({"source": source, "n": n} for n, source in enumerate("baabba")))
    bundle = home.capture(ergo)
    merged = [payload["n"] for _, payload in data(bundle, "data:mid")]
    assert sorted(merged) == list(range(6))
    assert [payload["n"] for _, payload in data(home.capture(ergo), "data:mid")] == merged
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


def test_c60_106_rows_whose_order_is_not_certified_are_a_warning_and_strictly_not_comparable(
    ergo: Ergo, home: Home
) -> None:
    stages = [stage.replace("{more}", ", ordered_delivery=False") for stage in MERGE]
    home.program(*stages, handlers=PASSED + KEEP, edges="a>mid b>mid mid>out")
    home.events({"source": "a", "n": 1}, {"source": "b", "n": 2})
    home.capture(ergo)
    ran = ergo("replay", BUNDLE, cwd=home.root)
    assert ran.exit_code == 0
    assert "the order of 2 rows is not certified (mid 2)" in ran.stderr
    strict = ergo("replay", BUNDLE, "--strict", "--format", "json", cwd=home.root)
    assert (strict.exit_code, strict.report["error"]["code"]) == (4, "pipeline.not_comparable")
    edit(home.root / "own.py", "return [event]", 'return [Event("x", event.payload)]')
    ran = ergo("replay", BUNDLE, "--format", "json", cwd=home.root)
    assert [each["kind"] for each in divergences(ran)] == ["effect_changed"] * 2, (
        "what the sink took is compared always"
    )


# --- diff


def test_a_diff_names_the_row_and_runs_nothing(ergo: Ergo, paying: Home) -> None:
    (paying.root / "a.json").write_bytes((paying.root / BUNDLE).read_bytes())
    paying.world("def pay(given, call):\n    return given['n'] == 2 or given\n")
    paying.capture(ergo)
    paying.world(GONE)
    (paying.root / "own.py").unlink()
    ran = ergo("diff", "a.json", BUNDLE, "--format", "json", cwd=paying.root)
    assert ran.exit_code == 1
    [(path, cause, expected, actual, stage, origin)] = journal_ones(divergences(ran))
    assert (path, cause) == (f"journals[1].records[2].{PAYLOAD}.outcome.output", "payload")
    assert (expected, actual, stage, origin) == ({"n": 2}, True, "out", "out")
    assert ergo("diff", "a.json", "a.json", cwd=paying.root).exit_code == 0


# --- damaged bundles

Change = Callable[[Any], object]


def _record(bundle: Any, entry: int = 0, record: int = 1) -> Any:
    return bundle["journals"][entry]["records"][record]


def _drop_record(bundle: Any) -> None:
    del bundle["journals"][0]["records"][3]


def _other_version(bundle: Any) -> None:
    [(name, artifact)] = bundle["artifacts"].items()
    artifact["json"]["manifest_version"] = "ergo-pipeline/2"
    _rename(bundle, name, artifact)


def _no_stage(bundle: Any) -> None:
    [(name, artifact)] = bundle["artifacts"].items()
    del artifact["json"]["stages"]["out"]
    _rename(bundle, name, artifact)


def _rename(bundle: Any, name: str, artifact: Any) -> None:
    from hashlib import sha256

    text = json.dumps(artifact["json"], sort_keys=True, separators=(",", ":"))
    renamed = sha256(text.encode()).hexdigest()
    bundle["artifacts"] = {renamed: artifact}
    _record(bundle, 0, 0)["begin"]["initial"] = renamed
    assert renamed != name


DAMAGES: dict[str, tuple[Change, str]] = {
    "a record less": (_drop_record, "records are missing"),
    "a member that is not known": (lambda b: _record(b)["record"].update(more=1), "it is not in canonical form"),
    "no journal": (lambda b: _record(b).update(journal="notes"), "there is no journal 'notes'"),
    "no such stage": (lambda b: _record(b, 1, 1).update(journal="data:nowhere"), "the flow has no stage 'nowhere'"),
    "another journal's id": (
        lambda b: _record(b, 1, 1)["record"].update(journal_id="7ZZZZZZZZZZZZZZZZZZZZZZZZZ"),
        "it is of journal 7ZZZ",
    ),
    "a count that goes back": (
        lambda b: _record(b, 1, 1)["record"]["vector_clock"]["clocks"].update(
            dict.fromkeys(_record(b, 1, 1)["record"]["vector_clock"]["clocks"], 0)
        ),
        "its writer counts 0 there",
    ),
    "another flow": (lambda b: b["journals"][1].update(run_id="flow_7ZZZ"), "it is of run 'flow_7ZZZ'"),
    "a head that is wrong": (lambda b: _record(b, 1, 0)["begin"].update(head=1), "the frame tells of 1"),
    "no manifest": (lambda b: _record(b, 0, 0)["begin"].update(initial=None), "names the flow's manifest"),
    "a manifest twice": (
        lambda b: _record(b, 1, 0)["begin"].update(initial=_record(b, 0, 0)["begin"]["initial"]),
        "no other does",
    ),
    "a manifest of another version": (_other_version, "its version is 'ergo-pipeline/2'"),
    "a manifest without a stage": (_no_stage, "an edge names the stage 'out', which it does not have"),
    "prior records": (lambda b: _record(b, 1, 0)["begin"].update(prior="0" * 64), "names no prior records"),
    "a status of no pipeline": (lambda b: _record(b, 0, -1)["end"].update(status="Resting"), "'Resting' is no state"),
    "an end without a call": (lambda b: b["journals"][-1]["records"].clear(), "a `begin` frame is missing"),
    "two ends": (
        lambda b: b["journals"][-1]["records"].extend(
            [{"begin": {"attempt": 1, "head": 99, "prior": None, "initial": None}}, _record(b, -1, -1)]
        ),
        "it has 2 calls",
    ),
    "an entry of no decision": (
        lambda b: b["journals"].insert(1, json.loads(json.dumps(b["journals"][0]))),
        "it belongs to no decision",
    ),
    "a digest of a state": (lambda b: _record(b, 0, -1)["end"].update(state="0" * 64), "no digest of a state"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", ["replay", "inspect", "diff"])
def test_a_journal_that_no_pipeline_wrote_is_refused(ergo: Ergo, paying: Home, damage: str, command: str) -> None:
    bundle, (change, why) = paying.kept(), DAMAGES[damage]
    change(bundle)
    for entry in bundle["journals"]:
        resealed_entry(entry)
    (paying.root / "b.json").write_bytes(sealed(bundle))
    arguments = ("b.json", "b.json") if command == "diff" else ("b.json",)
    ran = ergo(command, *arguments, "--format", "json", cwd=paying.root)
    assert ran.exit_code == 3, ran.stdout + ran.stderr
    error = ran.report["error"] or ran.report["bundles"][0]["error"]
    assert error["code"] == "bundle.journal_invalid"
    assert why in error["message"]


@pytest.mark.parametrize(
    "effects", ["{}", "{'pay': EffectType(print, Safety.NON_IDEMPOTENT_REQUIRES_KEY)}"], ids=["unknown", "no key"]
)
def test_an_effect_that_was_refused_when_recorded_is_refused_again(ergo: Ergo, home: Home, effects: str) -> None:
    """The program has not changed, and nothing differs."""
    asking = "def ask(event, effects):\n    effects.perform('pay', 1)\n"
    stages = ('source("in")', 'sink("out", ask)')
    home.program(*stages, handlers=asking, more=f"effects={effects}").capture(ergo)
    ran = ergo("replay", BUNDLE, cwd=home.root)
    assert ran.exit_code == 0, ran.stdout


@pytest.mark.parametrize("label", ["system", "data:in"])
def test_a_record_taken_out_is_missed_though_all_heads_fit_again(ergo: Ergo, paying: Home, label: str) -> None:
    """A writer counts its own records one by one, whatever they say."""
    bundle = paying.kept()
    entries = [entry["records"] for entry in bundle["journals"]]
    entries[1].remove(next(record for record in entries[1] if record.get("journal") == label))
    head = 0
    for found in entries:
        found[0]["begin"]["head"] = head
        head += sum("journal" in record for record in found)
    for entry in bundle["journals"]:
        resealed_entry(entry)
    (paying.root / "b.json").write_bytes(sealed(bundle))
    ran = ergo("replay", "b.json", "--strict", "--format", "json", cwd=paying.root)
    assert (ran.exit_code, ran.report["bundles"][0]["error"]["code"]) == (3, "bundle.journal_invalid")
    assert "records are missing" in ran.report["bundles"][0]["error"]["message"]


def test_records_of_a_bundle_are_all_read_back(ergo: Ergo, paying: Home) -> None:
    """Explain shows every record of an episode, each with its stage."""
    ran = ergo("explain", BUNDLE, "--event", "e2", "--format", "json", cwd=paying.root)
    shown = [(node["path"], node["impl"]) for node in ran.report["episode"]["nodes"]]
    assert len(shown) == len(records(paying.kept()["journals"][1]))
    assert ("in", "in") in shown
    assert ("out", "sink.delivery") in shown


EACH_CALL = """
def add(seen, event, effects):
    effects.perform("world.act", {"added": event.payload["n"]})
    seen.append(event.payload["n"])

def given(seen, effects):
    effects.perform("world.act", {"emitted": len(seen)})
    return []

def left(seen, effects):
    effects.perform("world.act", {"left": len(seen)})
    return []

def kept(event):
    pass
"""


def test_every_effect_of_a_stateful_stage_has_a_place_of_its_own(ergo: Ergo, tmp_path: Path) -> None:
    """``emit``, the next ``accumulate`` and ``drain`` come after the same number of inputs."""
    stages = (
        'source("in")',
        'stateful("sum", list, add, given, should_emit=bool, drain=left)',
        'sink("out", kept)',
    )
    home = Home(tmp_path / "own").program(*stages, handlers=EACH_CALL, more='effects={"world.act": "world:act"}')
    home.world("def act(asked, call):\n    return asked\n")
    home.events({"n": 1}, {"n": 2})
    assert ergo("capture", "-o", "b.json", "--fail-on-error", cwd=home.root).exit_code == 0
    bundle = json.loads((home.root / "b.json").read_text())
    acts = [payload for kind, payload in data(bundle, "data:sum") if kind == "obzenflow.effect_record.v1"]
    asked = [{"added": 1}, {"emitted": 1}, {"added": 2}, {"emitted": 2}, {"left": 2}]
    assert [act["outcome"]["output"] for act in acts] == asked
    cursors = [(act["cursor"]["input_seq"], act["cursor"]["effect_ordinal"]) for act in acts]
    assert cursors == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1)]
    home.world("raise RuntimeError('replayed for real')\n")
    assert ergo("replay", "b.json", "--strict", cwd=home.root).exit_code == 0


def test_what_a_transform_gives_at_its_end_is_compared(ergo: Ergo, home: Home) -> None:
    end = "def last():\n    return [Event('last', {})]\n"
    stages = ('source("in")', 'transform("t", lambda event: [event], drain=last)', 'sink("out", print)')
    assert data(home.program(*stages, handlers=end.format(1)).capture(ergo), "data:t")[-1] == ("last", 1)
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0
    home.program(*stages, handlers=end.format(2))
    found = journal_ones(replayed(ergo, home.root, BUNDLE))
    assert [(cause, expected, actual, node) for _, cause, expected, actual, node, _ in found] == [
        ("payload", 1, 2, "t")
    ]


CARELESS = """
def buy(event, effects):
    try:
        return [Event("bought", effects.perform("buy", 1))]
    except EffectFailed as failure:
        return [Event("left", failure.error_type)]
"""


def test_an_output_that_no_record_holds_fails_again_in_a_replay(ergo: Ergo, home: Home) -> None:
    home.world(
        "def buy(given, call):\n    value = 1\n    for _ in range(124):\n        value = [value]\n    return value\n"
    )
    more = "effects={'buy': EffectType('world:buy')}"
    stages = ('source("in")', 'transform("t", buy)', 'sink("out", print)')
    bundle = home.program(*stages, handlers=CARELESS, more=more).capture(ergo)
    assert [row for row in data(bundle, "data:t") if row[0] == "left"] == [("left", "NotCanonicalError")] * 3
    home.world(GONE)
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


def test_explain_numbers_records_and_shows_effects_in_words(ergo: Ergo, project: Path) -> None:
    """Records are numbered through the whole flow, as ``head`` of a `begin` frame counts them."""
    entry = json.loads((project / KEPT).read_text())["journals"][4]
    head, count = entry["records"][0]["begin"]["head"], len(records(entry))
    ran = ergo("explain", KEPT, "--event", "m-0915", cwd=project)
    lines = ran.stdout.splitlines()
    table = lines.index(next(line for line in lines if line.startswith("seq ")))
    numbers = [line.split()[0] for line in lines[table + 1 : table + 1 + count]]
    assert numbers == [str(number) for number in range(head + 1, head + 1 + count)]
    assert lines[lines.index("recorded effects") + 1 :] == [
        '  io  namespace="bank.charge" request={"cents": 1650, "customer": "anna", "lines": 2}'
        ' idempotency_key="morning-anna"',
        '  till = {"event_type": "basket", "payload": {"cents": 1650, "customer": "anna", "lines": 2}}  sink_write',
    ]
    report = ergo("explain", KEPT, "--event", "m-0915", "--format", "json", cwd=project).report
    assert [node["id"] for node in report["episode"]["nodes"]] == numbers

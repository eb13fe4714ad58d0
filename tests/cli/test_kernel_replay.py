"""Kernel bundles from the command line: nothing of the world is in reach."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from replayed_kernels import EXAMPLE, resealed_entry, sealed

from tests.conftest import Ergo, Ran

AGENT = Path(__file__).parents[2] / "fixtures" / "agent"
BOILER = Path(__file__).parents[2] / "fixtures" / "boiler_alarm"
BUNDLE = "captures/tuesday.json"


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """The example agent, its executor's module broken: whoever imports it fails."""
    project = tmp_path / "agent"
    shutil.copytree(AGENT, project, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "refunds" / "desk.py").write_text("raise RuntimeError('the desk is not for replays')\n")
    return project


def edit(project: Path, old: str, new: str) -> None:
    module = project / "refunds" / "agent.py"
    text = module.read_text()
    assert old in text
    module.write_text(text.replace(old, new))


def test_a_replay_executes_nothing(ergo: Ergo, agent: Path) -> None:
    ran = ergo("replay", "--strict", cwd=agent)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.startswith("match  ")
    assert ergo("capture", "-o", "b.json", cwd=agent).exit_code == 3, "a live run needs its executor"


def test_a_capture_replays_once_its_executor_is_gone(ergo: Ergo, agent: Path) -> None:
    desk = agent / "refunds" / "desk.py"
    shutil.copy(AGENT / "refunds" / "desk.py", desk)
    assert ergo("capture", "-o", "b.json", cwd=agent).exit_code == 0
    desk.write_text("raise RuntimeError('gone')\n")
    assert ergo("replay", "b.json", "--strict", "-P", "refunds.agent:program", cwd=agent).exit_code == 0


def test_another_prompt_is_named_with_seq_and_both_actions(ergo: Ergo, agent: Path) -> None:
    edit(agent, "How likely is it a fraud?", "Is it a fraud?")
    ran = ergo("replay", cwd=agent)
    assert ran.exit_code == 1
    assert "\nevent t-0900  run c-1  record 1\n" in ran.stdout
    assert "ActionMismatch" not in ran.stdout
    assert "How likely is it a fraud?" in ran.stdout
    assert "ved broken. Is it a fraud?" in ran.stdout
    first = ergo("replay", "--format", "json", cwd=agent).report["bundles"][0]["divergences"][0]
    assert (first["kind"], first["code"], first["cause"]) == ("journal", "replay.journal_mismatch", "ActionMismatch")
    assert first["path"] == "journals[0].records[1].event.ActionRequested.payload.CallLLM.input.prompt"
    assert (first["seq"], first["event_id"], first["node"], first["origin"]) == (0, "t-0900", "c-1-1", None)
    assert first["expected"].endswith("How likely is it a fraud?")
    assert first["actual"].endswith("Is it a fraud?")


def test_another_order_of_tools(ergo: Ergo, agent: Path) -> None:
    edit(agent, "    if not case.told:\n", "    if case.told:\n        return Complete()\n    if not case.told:\n")
    assert ergo("replay", cwd=agent).exit_code == 0, "the same order, written otherwise"
    edit(agent, 'if case.decision == "pay" and case.receipt is None', "if case.told and case.receipt is None")
    ran = ergo("replay", cwd=agent)
    assert ran.exit_code == 1
    assert "run c-1  record 4\n" in ran.stdout
    first = ergo("replay", "--format", "json", cwd=agent).report["bundles"][0]["divergences"][0]
    assert first["path"] == "journals[0].records[4].event.ActionRequested.payload"
    assert first["expected"] == {"CallTool": {"input": {"amount": 29.5, "customer": "anna"}, "tool": "pay"}}
    assert first["actual"]["CallTool"]["tool"] == "tell"


def test_strict_does_not_compare_another_program(ergo: Ergo, agent: Path) -> None:
    edit(agent, "How likely", "Say how likely")
    ran = ergo("replay", "--strict", "--format", "json", cwd=agent)
    assert ran.exit_code == 4
    error, bundle = ran.report["error"], json.loads((agent / BUNDLE).read_text())
    assert error["code"] == "replay.runtime_provenance_mismatch"
    assert error["details"][0] == f"expected: '{bundle['runtime_provenance']}'"
    assert error["details"][1].startswith("got: 'kpv1:sha256:")
    assert error["details"][1][5:] != error["details"][0][10:]


def test_a_strict_refusal_names_the_files_that_changed(ergo: Ergo, agent: Path) -> None:
    shutil.copy(AGENT / "refunds" / "desk.py", agent / "refunds" / "desk.py")
    assert ergo("capture", "-o", "b.json", cwd=agent).exit_code == 0
    strict = ("replay", "b.json", "--strict", "-P", "refunds.agent:program")
    module = agent / "refunds" / "agent.py"
    module.write_text(module.read_text() + "\n# a remark\n")
    ran = ergo(*strict, cwd=agent)
    assert ran.exit_code == 4
    assert changed(ran) == ["refunds/agent.py  comments, blank lines or docstrings only"]
    edit(agent, "How likely", "Say how likely")
    line = 1 + module.read_text()[: module.read_text().index("Say how likely")].count("\n")
    [name] = [each for each in changed(ergo(*strict, cwd=agent)) if each.startswith(f"refunds/agent.py:{line}  ")]
    [change] = ergo(*strict, "--format", "json", cwd=agent).report["bundles"][0]["changes"]
    assert (change["layer"], change["change"], change["idle"]) == ("program", "changed", False)
    assert (change["file"], change["line"]) == ("refunds/agent.py", line)
    case = agent / "refunds" / "case.py"
    case.write_text(case.read_text() + "# a remark\n")
    both = [name, "refunds/case.py  comments, blank lines or docstrings only"]
    assert [" ".join(each.split()) for each in changed(ergo(*strict, cwd=agent))] == [
        " ".join(each.split()) for each in both
    ]


def changed(ran: Ran) -> list[str]:
    """The rows of the block that says what changed, without its label."""
    lines = ran.stdout.splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("changed  "))
    return [line[11:] for line in lines[first : lines.index("", first)]]


def test_a_module_at_the_top_is_named_by_a_refusal_too(ergo: Ergo, tmp_path: Path) -> None:
    module = tmp_path / "idle.py"
    module.write_text(
        "from ergo_cli.programs.kernel import Complete, KernelProgram\n"
        "program = KernelProgram('idle', lambda payload: 0, lambda state: Complete(), 'idle:execute', version='1')\n"
        "def execute(action, call): ...\n"
    )
    (tmp_path / "ergo.toml").write_text('name = "idle"\nversion = "1.0.0"\n[profiles]\n')
    events = AGENT / "events" / "tuesday.jsonl"
    assert ergo("capture", events, "-P", "idle:program", "-o", "b.json").exit_code == 0
    module.write_text(module.read_text() + "MORE = 1\n")
    ran = ergo("replay", "b.json", "-P", "idle:program", "--strict")
    assert (ran.exit_code, changed(ran)) == (4, ["idle.py:4  MORE  added"])


def test_a_strict_refusal_says_that_the_texts_of_the_capture_are_not_kept(ergo: Ergo, agent: Path) -> None:
    edit(agent, "How likely", "Say how likely")
    ran = ergo("replay", "--strict", "--format", "json", cwd=agent)
    unknown = (
        "what changed is not known: the texts of the capture are not in the program store; "
        "a capture with the program of then, in another folder, puts them there"
    )
    assert ran.report["bundles"][0]["warnings"] == [unknown]
    assert "changes" not in ran.report["bundles"][0]
    assert unknown in ergo("replay", "--strict", cwd=agent).stderr
    assert ran.report["error"]["where"] == "runtime_provenance of the bundle"


def test_a_bundle_makes_nobody_import_anything(ergo: Ergo, agent: Path, tmp_path: Path) -> None:
    shutil.copy(agent / BUNDLE, tmp_path / "b.json")
    ran = ergo("replay", "b.json", "--format", "json", cwd=tmp_path)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "program.not_found")
    ran = ergo("replay", f"agent/{BUNDLE}", "--format", "json", cwd=tmp_path)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "program.import_refused")
    assert ergo("replay", f"agent/{BUNDLE}", "--project", "agent", cwd=tmp_path).exit_code == 0


def test_sources_in_a_bundle_are_never_run(ergo: Ergo, agent: Path, tmp_path: Path) -> None:
    tree = json.loads((agent / BUNDLE).read_bytes())
    text = "raise RuntimeError('embedded')\n"
    tree["program"]["sources"] = [{"path": "refunds/agent.py", "sha256": "0" * 64, "text": text}]
    (tmp_path / "b.json").write_bytes(sealed(tree))
    ran = ergo("replay", "b.json", "--format", "json", cwd=tmp_path)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "program.not_found")


def test_bundles_of_both_kinds_in_one_replay(ergo: Ergo, agent: Path, tmp_path: Path) -> None:
    boiler = tmp_path / "boiler"
    shutil.copytree(BOILER, boiler)
    [graph] = (boiler / "captures").glob("*.json")
    manifest = agent / "ergo.toml"
    text = manifest.read_text().replace("[profiles.default]", "[profiles.agent]")
    shutil.copytree(boiler, agent / "boiler")
    lines = (boiler / "ergo.toml").read_text().split("[profiles.default]")[-1]
    place = f"boiler/captures/{graph.name}"
    lines = "\n".join(line for line in lines.splitlines() if not line.startswith(("capture_output", "#")))
    for name in ("graph", "adapter", "fixture"):
        lines = lines.replace(f'{name} = "', f'{name} = "boiler/')
    shutil.copytree(boiler / "clusters", agent / "clusters")
    manifest.write_text(f'{text}\n[profiles.boiler]{lines}\ncapture_output = "{place}"\n')
    ran = ergo("replay", place, BUNDLE, "--strict", "--format", "json", cwd=agent)
    assert (ran.exit_code, [bundle["outcome"] for bundle in ran.report["bundles"]]) == (0, ["match", "match"])


def test_a_program_of_another_kind(ergo: Ergo, agent: Path) -> None:
    shutil.copytree(BOILER, agent / "boiler")
    [graph] = (agent / "boiler" / "graphs").glob("*.yaml")
    given = ("-g", f"boiler/graphs/{graph.name}", "--cluster-path", "boiler/clusters")
    ran = ergo("replay", BUNDLE, *given, "--format", "json", cwd=agent)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "program.wrong_kind")
    ran = ergo("replay", BUNDLE, *given, "--strict", "--format", "json", cwd=agent)
    assert (ran.exit_code, ran.report["error"]["code"]) == (4, "replay.graph_id_mismatch")
    [bundle] = (agent / "boiler" / "captures").glob("*.json")
    ran = ergo("replay", str(bundle), "-P", "refunds.agent:program", "--format", "json", cwd=agent)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "program.wrong_kind")


def tampered(agent: Path) -> Path:
    """The bundle with another answer of the model to the first case."""
    tree = json.loads((agent / BUNDLE).read_bytes())
    tree["journals"][0]["records"][2]["event"]["ActionSucceeded"]["output"]["risk"] = 0.75
    resealed_entry(tree["journals"][0])
    path = agent / "tampered.json"
    path.write_bytes(sealed(tree))
    return path


def test_diff_compares_journals(ergo: Ergo, agent: Path) -> None:
    tampered(agent)
    ran = ergo("diff", BUNDLE, "tampered.json", "--format", "json", cwd=agent)
    assert ran.exit_code == 1
    [found] = ran.report["bundles"][0]["divergences"]
    assert (found["kind"], found["code"], found["cause"]) == ("journal", None, "EventMismatch")
    assert found["path"] == "journals[0].records[2].event.ActionSucceeded.output.risk"
    assert (found["expected"], found["actual"], found["node"]) == (0.0625, 0.75, "c-1-1")
    text = ergo("diff", BUNDLE, "tampered.json", cwd=agent).stdout
    assert "run c-1  record 2\n" in text
    assert "  + ActionSucceeded" in text
    assert ergo("diff", BUNDLE, BUNDLE, cwd=agent).exit_code == 0


def test_a_journal_that_is_none_is_refused_by_every_command(ergo: Ergo, agent: Path) -> None:
    tree = json.loads((agent / BUNDLE).read_bytes())
    del tree["journals"][0]["records"][2]
    resealed_entry(tree["journals"][0])
    (agent / "torn.json").write_bytes(sealed(tree))
    for command in (
        ("replay", "torn.json"),
        ("replay", "--strict", "torn.json"),
        ("diff", BUNDLE, "torn.json"),
        ("inspect", "torn.json"),
        ("explain", "torn.json", "--event", "t-0900"),
    ):
        ran = ergo(*command, "--format", "json", cwd=agent)
        assert (ran.exit_code, ran.report["error"]["code"]) == (3, "bundle.journal_invalid"), command
    ran = ergo("validate", "torn.json", "--format", "json", cwd=agent)
    assert ran.exit_code == 3
    assert [error["code"] for error in ran.report["files"][0]["errors"]] == ["bundle.journal_invalid"]


def test_inspect_counts_the_records(ergo: Ergo, agent: Path) -> None:
    found = ergo("inspect", BUNDLE, "--format", "json", cwd=agent).report["inspect"]
    assert found["program"] == {"kind": "kernel", "ref": "refunds.agent:program"}
    assert found["found_by"] == "profile default of ergo.toml"
    counts = found["journals"]
    tree = json.loads((agent / BUNDLE).read_bytes())
    records = [record for entry in tree["journals"] for record in entry["records"] if "seq" in record]
    assert counts["entries"] == len(tree["journals"])
    assert counts["runs"] == len({entry["run_id"] for entry in tree["journals"]})
    assert sum(counts["records"].values()) == len(records)
    assert counts["records"]["Completed"] == sum(record["event"] == "Completed" for record in records)
    assert "journals" in ergo("inspect", BUNDLE, cwd=agent).stdout
    graph = ergo("inspect", next((BOILER / "captures").glob("*.json")), "--format", "json")
    assert "journals" not in graph.report["inspect"]


def test_explain_lists_the_records_without_any_program(ergo: Ergo) -> None:
    ran = ergo("explain", str(EXAMPLE), "--event", "e1", "--format", "json")
    episode = ran.report["episode"]
    assert (ran.exit_code, episode["termination"], len(episode["effects"])) == (0, "Completed", 2)
    assert [(node["id"], node["path"], node["impl"], node["why"]) for node in episode["nodes"]] == [
        ("1", "approve/e1-1", "ActionRequested", None),
        ("2", "approve/e1-1", "ActionSucceeded", None),
        ("3", "score", "StateUpdated", None),
        ("4", "", "Completed", None),
    ]
    assert episode["nodes"][0]["inputs"] == {"payload": {"CallTool": {"input": {"amount": 5}, "tool": "score"}}}
    assert episode["nodes"][1]["outputs"] == {"output": 0.5}
    text = ergo("explain", str(EXAMPLE), "--event", "e1").stdout
    assert "approve/e1-1" in text
    assert '{"status":"Completed"}' in text
    unknown = ergo("explain", str(EXAMPLE), "--event", "e2", "--format", "json")
    assert (unknown.exit_code, unknown.report["error"]["code"]) == (2, "cli.invalid_option_value")


def test_explain_tells_attempts_and_failures(ergo: Ergo, agent: Path) -> None:
    """A failed case, and an event that nobody waited for."""
    text = ergo("explain", BUNDLE, "--event", "t-0945", cwd=agent).stdout
    assert "ActionFailed" in text
    text = ergo("explain", BUNDLE, "--event", "t-1005", cwd=agent).stdout
    assert "kernel.already_completed" in text


def test_validate_takes_a_sound_bundle(ergo: Ergo, agent: Path) -> None:
    assert ergo("validate", BUNDLE, cwd=agent).exit_code == 0


def test_what_failed_so_when_it_was_recorded_is_no_failure_of_today(ergo: Ergo, agent: Path) -> None:
    edit(agent, '"told": str()', '"tolds": str()')
    ran = ergo("replay", "--format", "json", cwd=agent)
    [bundle] = ran.report["bundles"]
    assert (ran.exit_code, "failures" in bundle) == (1, False)
    assert "t-1005" in {each["event_id"] for each in bundle["divergences"]}, "its state differs all the same"
    assert "already_completed" not in ran.stderr


def test_one_cause_is_one_failure_with_the_termination_of_today(ergo: Ergo, agent: Path) -> None:
    edit(agent, "if case.risk is None", "if case.riskk is None")
    ran = ergo("replay", "--format", "json", cwd=agent)
    [failure] = ran.report["bundles"][0]["failures"]
    assert failure == {
        "count": 7,
        "event_id": "t-0900",
        "last_event_id": "t-1000",
        "termination": "Failed(RuntimeError)",
        "error": "AttributeError",
        "message": "'Case' object has no attribute 'riskk'",
        "node": None,
        "place": {"file": "refunds/agent.py", "line": 36, "function": "step"},
        "where": "run 'c-1' seq 1",
        "frames": [{"file": "refunds/agent.py", "line": 36, "function": "step"}],
    }


def test_artifacts_that_are_large_together_are_replayed_strictly(ergo: Ergo, tmp_path: Path) -> None:
    """The limit of a member at the top is not that of all artifacts, each of which may be as long as a record."""
    (tmp_path / "copying.py").write_text(COPYING)
    (tmp_path / "ergo.toml").write_text('name = "copying"\nversion = "1"\n[profiles]\n')
    events = (
        {"type": "Command", "id": f"e{number}", "payload": {"text": f"{number}" * 6_000_000}} for number in range(3)
    )
    (tmp_path / "e.jsonl").write_text("".join(json.dumps({"kind": "event", "event": event}) + "\n" for event in events))
    program = ("-P", "copying:program")
    assert ergo("capture", "e.jsonl", *program, "-o", "b.json").exit_code == 0
    bundle = json.loads((tmp_path / "b.json").read_bytes())
    assert len(json.dumps(bundle["artifacts"])) > 16 * 2**20
    assert ergo("replay", "b.json", *program, "--strict").stdout.startswith("match  ")
    assert ergo("validate", "b.json").exit_code == 0


COPYING = """
from ergo_cli.programs.kernel import ActionSucceeded, CallTool, Complete, Do, KernelProgram

def step(state):
    return Complete() if state.get("done") else Do(CallTool("copy", state["text"]))

def reduce(state, event):
    return {"done": True} if isinstance(event.event, ActionSucceeded) else state

program = KernelProgram("copying", lambda payload: payload, step, lambda action, call: action.input, reduce)
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Ergo


def test_inspect_as_json(ergo: Ergo, conformance: Path) -> None:
    path = conformance / "11-pump" / "capture.json"
    report = ergo("inspect", path, "--format", "json").report
    assert (report["outcome"], report["exit_code"]) == ("ok", 0)
    found = report["inspect"]
    assert list(found) == [
        *("path", "capture_version", "style", "compression", "size_bytes", "graph_id", "program", "config"),
        *("adapter_provenance", "runtime_provenance", "egress_provenance", "events", "event_kinds", "payload_bytes"),
        *("decisions", "terminations", "retries", "effects", "intents", "acks", "interruptions", "first_at", "last_at"),
        "found_by",
    ]
    bundle = json.loads(path.read_text())
    assert found["size_bytes"] == path.stat().st_size
    assert (found["style"], found["compression"], found["program"]) == ("compact", None, None)
    assert found["config"] == bundle["config"]
    assert found["events"] == len(bundle["events"])
    assert sum(found["event_kinds"].values()) == found["events"]
    assert found["payload_bytes"] == sum(len(event["payload"]) for event in bundle["events"])
    decisions = [decision["decision"] for decision in bundle["decisions"]]
    assert found["decisions"] == {"invoke": decisions.count("Invoke"), "skip": 0, "defer": decisions.count("Defer")}
    assert found["first_at"] == {"secs": 0, "nanos": 0}
    assert found["found_by"] is None


def test_inspect_knows_layout_compression_program_and_rule(ergo: Ergo, conformance: Path) -> None:
    case = conformance / "01-minimal"
    arguments = ["-g", case / "graph.yaml", "--embed", "--pretty", "-o", "b.json.zst"]
    assert ergo("capture", case / "events.jsonl", *arguments).exit_code == 0
    found = ergo("inspect", "b.json.zst", "--format", "json").report["inspect"]
    assert (found["style"], found["compression"], found["capture_version"]) == ("pretty", "zstd", "v4")
    assert found["program"] == {"kind": "graph", "ref": "minimal@0.1.0"}
    assert found["found_by"] == "program store"
    text = ergo("inspect", "b.json.zst").stdout
    assert "  found by       program store" in text.splitlines()


def test_inspect_counts_intents_acks_and_interruptions(ergo: Ergo, conformance: Path) -> None:
    case = conformance / "23-intents"
    found = ergo("inspect", case / "live.capture.json", "--format", "json").report["inspect"]
    assert (found["intents"], found["acks"], found["interruptions"]) == ({"publish_sample": 1}, 1, 0)
    found = ergo("inspect", case / "egress_crash.json", "--format", "json").report["inspect"]
    assert (found["acks"], found["interruptions"]) == (0, 1)


def test_inspect_of_what_is_no_bundle(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text("[]")
    ran = ergo("inspect", "b.json", "--format", "json")
    assert (ran.exit_code, ran.report["inspect"], ran.report["error"]["code"]) == (3, None, "bundle.parse_failed")


def test_validate_tells_every_kind_of_file(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    case = conformance / "03-context-set"
    (tmp_path / "ergo.toml").write_text(
        f'name = "p"\nversion = "1"\n[profiles.day]\ngraph = "{case}/graph.yaml"\nadapter = "{case}/adapter.yaml"\n'
    )
    names = ["graph.yaml", "adapter.yaml", "events.jsonl", "capture.json"]
    ran = ergo("validate", *(case / name for name in names), "ergo.toml", "--format", "json")
    assert (ran.exit_code, ran.report["outcome"], ran.stderr) == (0, "valid", "")
    assert [(each["kind"], each["id"], each["outcome"]) for each in ran.report["files"]] == [
        ("cluster", "ctxset", "valid"),
        ("adapter", "corpus_adapter", "valid"),
        ("events", None, "valid"),
        ("bundle", "ctxset", "valid"),
        ("project", "p", "valid"),
    ]
    assert list(ran.report["files"][0]) == ["path", "kind", "id", "outcome", "errors", "warnings"]
    assert ergo("validate", case / "graph.yaml").stdout == f"valid: {case}/graph.yaml (cluster ctxset)\n"


def test_validate_tells_all_errors_of_a_file(ergo: Ergo, conformance: Path) -> None:
    path = conformance / "21-run-failures" / "ACCEPTED_source_to_trigger.graph.yaml"
    ran = ergo("validate", path, "--format", "json")
    assert (ran.exit_code, ran.report["outcome"], ran.report["files"][0]["outcome"]) == (3, "invalid", "invalid")
    assert [error["rule"] for error in ran.report["files"][0]["errors"]] == ["V.2", "V.4"]
    assert ran.report["error"] == ran.report["files"][0]["errors"][0]
    assert ran.stderr.count("error: ") == 2


def test_strict_makes_warnings_errors(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    text = (conformance / "01-minimal" / "graph.yaml").read_text()
    (tmp_path / "graph.yaml").write_text(text + "\ncolour: blue\n")
    lax = ergo("validate", "graph.yaml", "--format", "json")
    assert lax.exit_code == 0
    assert len(lax.report["files"][0]["warnings"]) == 1
    assert "colour" in lax.stderr
    strict = ergo("validate", "graph.yaml", "--strict", "--format", "json")
    assert strict.exit_code == 3
    assert "colour" in strict.report["files"][0]["errors"][0]["message"]
    assert strict.report["files"][0]["warnings"] == []


def test_a_bundle_is_checked_for_itself(ergo: Ergo, conformance: Path) -> None:
    case = conformance / "20-replay-failures"
    faults = {
        "payload_byte.json": ("replay.hash_mismatch", "events[1]"),
        "effect_hash.json": ("bundle.inconsistent", "decisions[0].effects[0]"),
        "decision_event_id.json": ("bundle.inconsistent", "decisions[2].event_id"),
        "decision_removed.json": ("bundle.inconsistent", "events[6]"),
        "termination_missing.json": ("bundle.inconsistent", "decisions[0]"),
        "truncated.json": ("bundle.parse_failed", "1:501"),
    }
    report = ergo("validate", *(case / name for name in faults), "--format", "json").report
    for file, (code, where) in zip(report["files"], faults.values(), strict=True):
        assert file["errors"][0]["code"] == code
        assert where in file["errors"][0]["where"]
        assert file["errors"][0]["where"].startswith(file["path"])


def test_a_bundle_with_a_member_twice_or_a_stray_ack_is_invalid(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    text = (conformance / "01-minimal" / "capture.json").read_text()
    (tmp_path / "b.json").write_text(text.replace('"retry_count":0', '"retry_count":0,"retry_count":0', 1))
    (tmp_path / "top.json").write_text(text.replace('"graph_id":', '"graph_id":"other","graph_id":', 1))
    inside, top = ergo("validate", "b.json", "top.json", "--format", "json").report["files"]
    assert "retry_count" in inside["errors"][0]["message"]
    assert "graph_id" in top["errors"][0]["message"]
    [file] = ergo("validate", conformance / "23-intents" / "tamper_intent_id.json", "--format", "json").report["files"]
    assert file["outcome"] == "invalid"


def test_an_adapter_composes_with_graphs(ergo: Ergo, conformance: Path) -> None:
    case = conformance / "21-run-failures"
    graph = case / "adapter_key_not_writable.graph.yaml"
    assert ergo("validate", graph).exit_code == 0
    ran = ergo("validate", graph, "-a", case / "adapter_key_not_writable.adapter.yaml", "--format", "json")
    assert ran.exit_code == 3
    assert ran.report["files"][0]["errors"][0]["code"] == "COMP-12"


def test_a_project_is_validated_with_what_its_profiles_name(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "ergo.toml").write_text(
        'name = "p"\nversion = "1"\n[profiles.a]\ngraph = "gone.yaml"\n[profiles.b]\ngraph = "lost.yaml"\n'
    )
    [file] = ergo("validate", "ergo.toml", "--format", "json").report["files"]
    for error, words in zip(file["errors"], (("profile 'a'", "gone.yaml"), ("profile 'b'", "lost.yaml")), strict=True):
        assert all(word in error["message"] for word in words)

"""Spec 30 §26, the project that ``ergo init`` makes: C-125 … C-128."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ergo_cli import __version__
from tests.conftest import Ergo

TREE = [
    ".github/workflows/ergo.yml",
    ".gitignore",
    ".gitlab-ci.yml",
    ".pre-commit-config.yaml",
    "README.md",
    "adapters/sample.yaml",
    "captures/historical.capture.json",
    "channels/egress/sample_outbox.py",
    "channels/ingress/live_feed.py",
    "clusters/sample_message.yaml",
    "egress/live.toml",
    "ergo.toml",
    "fixtures/historical.jsonl",
    "graphs/strategy.yaml",
    "primitives.py",
    "pytest.ini",
    "requirements.txt",
    "scripts/test",
]
INTENT = "eid1:sha256:27649f7dbd98654a09dc5dd7ab3685ff6af23633efa1abf35dfcc0083009fcca"
LIVE_INTENT = "eid1:sha256:15330ea67a26487072643762b2d319d9dde80a1a2ccd020365de18767ccca016"
CONTEXT_HASH = "5a1da80cf8b4520a725135346261700419e24d6b742f84032c06d7011a65edad"
INTENT_HASH = "e36547d3ca71c5f0e30708d6fafe2b5bb51f14e0f0b24e88d8caa4f6ed9d012c"
EGRESS = "epv1:sha256:28589e6c483db49114761ab8933ed8be2798c875fe3402c53dff8003e3fa7b11"


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def bundle(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


@pytest.fixture
def app(ergo: Ergo, tmp_path: Path) -> Path:
    """A project as it was made."""
    assert ergo("init", "app").exit_code == 0
    return tmp_path / "app"


def test_c30_125_init_makes_this_tree_and_nothing_else(ergo: Ergo, tmp_path: Path) -> None:
    ran = ergo("init", "some/where/app")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert tree(tmp_path) == [f"some/where/app/{path}" for path in TREE]
    made = tmp_path / "some" / "where" / "app"
    assert [path for path in TREE if (made / path).stat().st_mode & 0o111] == ["scripts/test"]


def test_c30_125_the_summary_tells_place_dependency_channels_guide_and_next_steps(ergo: Ergo) -> None:
    lines = ergo("init", "some/app").stdout.splitlines()
    assert lines[0] == "created: some/app"
    told = {name: value for name, _, value in (line.strip().partition("  ") for line in lines[1:6])}
    assert told.keys() == {"name", "depends on", "channels", "guide", "bundle"}
    assert "ergo" in told["depends on"]
    assert "Python 3" in told["channels"]
    assert told["guide"].strip() == "some/app/README.md"
    assert lines[6:] == ["", "next steps", "  cd some/app", "  scripts/test", "  ergo replay --strict"]


def test_c30_125_the_summary_as_a_document(ergo: Ergo, tmp_path: Path) -> None:
    report = ergo("init", "app", "--format", "json").report
    assert (report["schema"], report["command"], report["outcome"]) == ("ergo.report/1", "init", "ok")
    assert report["init"] == {
        "path": "app",
        "name": "app",
        "requirement": (tmp_path / "app" / "requirements.txt").read_text().strip(),
        "guide": "app/README.md",
        "bundle": "app/captures/historical.capture.json",
        "files": TREE,
    }


def test_c30_125_a_second_run_is_refused_and_force_succeeds(ergo: Ergo, tmp_path: Path, app: Path) -> None:
    (app / "graphs" / "strategy.yaml").write_text("kind: nothing\n")
    (app / "graphs" / "own.yaml").write_text("kind: mine\n")
    refused = ergo("init", "app", "--format", "json")
    assert (refused.exit_code, refused.report["error"]["code"]) == (2, "cli.init_target_not_empty")
    assert refused.report["init"] is None
    assert (app / "graphs" / "strategy.yaml").read_text() == "kind: nothing\n"
    assert ergo("init", "app", "-f").exit_code == 0
    assert tree(app) == sorted([*TREE, "graphs/own.yaml"])
    assert (app / "graphs" / "own.yaml").read_text() == "kind: mine\n"
    assert ergo("replay", "--strict", cwd=app).exit_code == 0


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("app", "app"),
        ("9 Weird__Name!", "ergo-9-weird-name"),
        ("--", "ergo-app"),
        ("Größe", "gr-e"),
        ("日本", "ergo-app"),
        ("\u212aelvin", "elvin"),
    ],
)
def test_c30_125_the_name_follows_from_the_folder(ergo: Ergo, tmp_path: Path, folder: str, name: str) -> None:
    report = ergo("init", "--format", "json", "--", f"in/{folder}").report
    assert report["init"]["name"] == name
    assert f'name = "{name}"\n' in (tmp_path / "in" / folder / "ergo.toml").read_text()


def test_c30_126_the_scaffold_is_valid_to_the_last_warning(ergo: Ergo, app: Path) -> None:
    for path in ("ergo.toml", "fixtures/historical.jsonl", "captures/historical.capture.json"):
        ran = ergo("validate", path, "--strict", cwd=app)
        assert ran.exit_code == 0, ran.stderr
    composed = ergo("validate", "graphs/strategy.yaml", "-a", "adapters/sample.yaml", "--strict", cwd=app)
    assert composed.exit_code == 0, composed.stderr


def test_c30_126_the_historical_run_is_the_original_s(ergo: Ergo, app: Path) -> None:
    kept = app / "captures" / "historical.capture.json"
    before = kept.read_bytes()
    assert ergo("capture", "-p", "historical", cwd=app).exit_code == 0
    assert kept.read_bytes() == before
    captured = bundle(kept)
    (event,), (decision,) = captured["events"], captured["decisions"]
    context, publish = decision["effects"]
    assert captured["graph_id"] == "sample_flow"
    assert captured["egress_provenance"] == EGRESS
    assert event["event_id"] == "fixture_evt_1"
    assert context["effect"]["writes"] == [{"key": "last_message", "value": {"String": "hello-from-cluster"}}]
    assert [context["effect_hash"], publish["effect_hash"]] == [CONTEXT_HASH, INTENT_HASH]
    assert [intent["intent_id"] for intent in publish["effect"]["intents"]] == [INTENT]
    (ack,) = decision["intent_acks"]
    assert (ack["intent_id"], ack["egress_ref"]) == (INTENT, "sample-outbox-1")
    assert ergo("replay", "--strict", cwd=app).exit_code == 0


def test_c30_126_the_live_run_completes_with_one_event(ergo: Ergo, app: Path) -> None:
    ran = ergo("capture", "-p", "live", "--format", "json", cwd=app)
    assert ran.exit_code == 0, ran.stderr
    assert (ran.report["outcome"], ran.report["run"]["events"]) == ("completed", 1)
    captured = bundle(app / "captures" / "live.capture.json")
    assert captured["events"][0]["event_id"] == "sample-live-evt-1"
    assert captured["decisions"][0]["intent_acks"][0]["intent_id"] == LIVE_INTENT
    replayed = ergo("replay", "--strict", "--format", "json", cwd=app)
    assert [entry["outcome"] for entry in replayed.report["bundles"]] == ["match", "match"]


def test_c30_126_the_outbox_takes_an_intent_once(ergo: Ergo, app: Path) -> None:
    for profile in ("live", "historical", "historical"):
        assert ergo("run", "-p", profile, cwd=app).exit_code == 0
    outbox = app / "channels" / "egress" / "outbox.jsonl"
    assert [json.loads(line)["intent_id"] for line in outbox.read_text().splitlines()] == [LIVE_INTENT, INTENT]


def test_c30_126_the_outbox_knows_a_message_with_odd_line_ends(ergo: Ergo, app: Path) -> None:
    graph = app / "graphs" / "strategy.yaml"
    graph.write_text(graph.read_text().replace("text: hello-from-cluster", 'text: "one\\u2028two\\x85"'))
    for _ in range(2):
        assert ergo("run", "-p", "historical", cwd=app).exit_code == 0


@pytest.mark.parametrize(
    "path",
    [
        "adapters/sample.yaml",
        "channels/egress/sample_outbox.py",
        "channels/ingress/live_feed.py",
        "clusters/sample_message.yaml",
        "egress/live.toml",
        "fixtures/historical.jsonl",
        "graphs/strategy.yaml",
        "primitives.py",
    ],
)
def test_c30_127_a_deleted_file_is_named(ergo: Ergo, app: Path, path: str) -> None:
    (app / path).unlink()
    ran = ergo("validate", "ergo.toml", "--format", "json", cwd=app)
    assert ran.exit_code == 3
    named = Path(path).stem if path.startswith("clusters") else path
    assert all(error["fix"] for error in ran.report["files"][0]["errors"])
    assert any(named in f"{error['message']} {error['fix']}" for error in ran.report["files"][0]["errors"])


def test_c30_127_channel_scripts_that_do_not_compile_are_named(ergo: Ergo, app: Path) -> None:
    scripts = ["channels/egress/sample_outbox.py", "channels/ingress/live_feed.py"]
    for script in scripts:
        (app / script).write_text("import json\ndef broken(:\n")
    ran = ergo("validate", "ergo.toml", "--format", "json", cwd=app)
    assert ran.exit_code == 3
    errors = ran.report["files"][0]["errors"]
    assert {error["code"] for error in errors} == {"PRJ-SCRIPT"}
    assert {error["where"] for error in errors} == {f"{app / script}:2:12" for script in scripts}


def test_c30_128_a_profile_runs_from_a_nested_folder_and_its_max_events_bounds_it(ergo: Ergo, app: Path) -> None:
    with (app / "fixtures" / "historical.jsonl").open("a") as fixture:
        fixture.write(
            '{"kind":"event","event":{"type":"Command","semantic_kind":"sample_event","payload":{"message":"more"}}}\n'
        )
    project = app / "ergo.toml"
    project.write_text(project.read_text().replace("[profiles.live]", "max_events = 1\n\n[profiles.live]"))
    (app / "notes" / "deep").mkdir(parents=True)
    ran = ergo("run", "-p", "historical", "--format", "json", cwd=app / "notes" / "deep")
    assert ran.exit_code == 0, ran.stderr
    assert (ran.report["run"]["graph_id"], ran.report["run"]["events"]) == ("sample_flow", 1)


def test_c30_126_the_adapter_fits_the_product(app: Path) -> None:
    assert "runtime_compatibility: 0.1.0-alpha.1\n" in (app / "adapters" / "sample.yaml").read_text()
    assert "@" not in (app / "ergo.toml").read_text()
    assert (
        __version__ in (app / "requirements.txt").read_text()
        or "ergo-replay @ " in (app / "requirements.txt").read_text()
    )

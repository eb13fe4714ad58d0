"""A journalled capture that is killed at any moment loses no committed step."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from ergo_cli.host.recovery import Recovered, recover
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.results import Outcome, ReplayOptions, Target
from tests.channels.ingress_runs import FLOW
from tests.channels.samples import sample_program, sample_project, send
from tests.cli.started import started, steps_in, wait_until
from tests.conftest import Ergo
from tests.support.events import TICK_LINE

EVENTS = 60
CAPTURE = ("capture", "-p", "historical", "-o", "b.json", "--journal", "j")


def replayed(bundle: Path) -> int | None:
    loaded = sample_program()
    result = replay_bundle(str(bundle), Target(loaded.program, loaded.adapter), ReplayOptions(strict=True))
    assert result.outcome is Outcome.MATCH, result
    return result.events


def told(project: Path) -> list[str]:
    """The intents that the channel has read: all but the last one's event must be committed."""
    outbox = project / "outbox.jsonl"
    lines = outbox.read_text().split("\n")[:-1] if outbox.exists() else []
    return [frame["intent_id"] for frame in map(json.loads, lines) if frame["type"] == "intent"]


def check_recovery(project: Path, steps: int) -> Recovered | None:
    """Nothing but the intent under way may be missing from what is recovered."""
    sent = told(project)
    if steps == 0:
        assert len(sent) <= 1
        return None
    recovered = recover(project / "j", str(project / "recovered.json"))
    assert recovered.steps == steps == replayed(project / "recovered.json")
    assert steps >= len(sent) - 1
    unconfirmed = {intent.intent_id for intent in recovered.unconfirmed}
    assert set(sent[steps:]) <= unconfirmed
    assert len(unconfirmed) <= 1
    return recovered


def kill_one(project: Path, environment: dict[str, str], delay: float) -> str:
    """Kill one capture after ``delay`` seconds; what it left behind."""
    for name in ("b.json", "j", "outbox.jsonl", "recovered.json"):
        (project / name).unlink(missing_ok=True)
    with started(project, environment, *CAPTURE) as child:
        time.sleep(delay)
        child.kill()
        child.communicate(timeout=60)
    if (project / "b.json").exists():
        assert replayed(project / "b.json") == EVENTS
        return "bundle"
    check_recovery(project, steps_in(project / "j"))
    return "journal" if (project / "j").exists() else "nothing"


def kill_many(times: int, folder: Path, environment: dict[str, str]) -> Counter[str]:
    project = sample_project(folder)
    send(project, **{f"e{n}": str(n) for n in range(EVENTS)})
    begun = time.monotonic()
    with started(project, environment, *CAPTURE) as child:
        assert child.communicate(timeout=60)[1] == b""
    life = time.monotonic() - begun
    rng = random.Random(11)
    return Counter(kill_one(project, environment, rng.uniform(life / 4, life * 1.1)) for _ in range(times))


def test_kill_at_random_moments(tmp_path: Path, environment: dict[str, str]) -> None:
    assert kill_many(12, tmp_path, environment).total() == 12


@pytest.mark.slow
def test_kill_at_two_hundred_random_moments(tmp_path: Path, environment: dict[str, str]) -> None:
    left = kill_many(200, tmp_path, environment)
    assert left.total() == 200
    assert left["journal"] > 0, "no moment was within the run"


def test_a_killed_capture_is_recovered_by_the_command(ergo: Ergo, tmp_path: Path, environment: dict[str, str]) -> None:
    program = ("-g", str(FLOW / "graph.yaml"), "-a", str(FLOW / "adapter.yaml"))
    with started(tmp_path, environment, "capture", "-", *program, "-o", "b.json", "--journal", "j") as child:
        assert child.stdin is not None
        child.stdin.write(TICK_LINE * 3)
        child.stdin.flush()
        wait_until(lambda: steps_in(tmp_path / "j") == 3, child)
        child.kill()
        child.communicate(timeout=60)
    ran = ergo("recover", "j", "-o", "r.json")
    assert ran == (0, "recovered: 3 events\n  program  graph tick_flow\n  bundle   r.json\n", "")
    assert ergo("capture", "-", *program, "-o", "whole.json", stdin=TICK_LINE * 3).exit_code == 0
    assert (tmp_path / "r.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert ergo("replay", "r.json", "--strict", *program).exit_code == 0
    assert (tmp_path / "j").exists()


def test_recover_tells_of_intents_without_their_step(ergo: Ergo, tmp_path: Path) -> None:
    program = ("-g", str(FLOW / "graph.yaml"), "-a", str(FLOW / "adapter.yaml"))
    refused = ergo("run", "-", *program, "--journal", "j", stdin=TICK_LINE + b"nonsense\n")
    assert refused.exit_code == 3
    with (tmp_path / "j").open("a") as journal:
        journal.write('{"intent":{"event_id":"e2","intent_id":"eid1:sha256:aa","channel":"broker"}}\n{"event":')
    ran = ergo("recover", "j", "-o", "r.json", "--format", "json")
    assert ran.exit_code == 0
    assert ran.report["recovery"] == {
        "journal": "j",
        "bundle": "r.json",
        "events": 1,
        "unconfirmed": [{"event_id": "e2", "intent_id": "eid1:sha256:aa", "channel": "broker"}],
    }
    assert ran.report["warnings"] == [ran.stderr.removeprefix("warning: ").strip()]
    assert "delivery is unknown" in ran.stderr


def test_recover_refuses(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "bad").write_text("{}\n")
    codes = {"empty": "driver.output_incomplete", "bad": "journal.corrupt", "nowhere": "journal.read_failed"}
    for name, code in codes.items():
        ran = ergo("recover", name, "-o", "r.json", "--format", "json")
        assert (ran.exit_code, ran.report["outcome"], ran.report["error"]["code"]) == (3, "refused", code)
        assert ran.report["recovery"] is None
    missing = ergo("recover", "bad", "-v")
    assert (missing.exit_code, "code: cli.missing_required_option" in missing.stderr) == (2, True)
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize("kind", ["empty", "missing"])
def test_a_journal_is_never_written_through_a_link(ergo: Ergo, tmp_path: Path, kind: str) -> None:
    (tmp_path / "events.jsonl").write_bytes(TICK_LINE)
    if kind == "empty":
        (tmp_path / "target").touch()
    (tmp_path / "link").symlink_to("target")
    program = ("-g", FLOW / "graph.yaml", "-a", FLOW / "adapter.yaml")
    ran = ergo("run", "events.jsonl", *program, "--journal", "link", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "journal.exists")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").exists() is (kind == "empty")


def test_a_run_leaves_the_journal_of_another_run_alone(tmp_path: Path, environment: dict[str, str]) -> None:
    program = ("-g", str(FLOW / "graph.yaml"), "-a", str(FLOW / "adapter.yaml"))
    words = ("capture", *program, "--journal", "j", "-")
    with started(tmp_path, environment, *words, "-o", "a.json") as first:
        wait_until((tmp_path / "j").exists, first)
        (tmp_path / "j").unlink()
        with started(tmp_path, environment, *words, "-o", "b.json") as second:
            assert second.stdin is not None
            second.stdin.write(TICK_LINE)
            second.stdin.flush()
            wait_until(lambda: steps_in(tmp_path / "j") == 1, second)
            first.terminate()
            assert first.communicate(timeout=60)[1] != b""
            assert steps_in(tmp_path / "j") == 1
            second.kill()
            second.communicate(timeout=60)
    assert recover(tmp_path / "j", str(tmp_path / "recovered.json")).steps == 1

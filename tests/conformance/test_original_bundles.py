"""What the original produced for the same inputs: bundles to the byte, refusals to the code (spec 00 §12.9)."""

from __future__ import annotations

import json
import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import CONFORMANCE, Ergo

CAPTURED = [
    "01-minimal",
    "02-demo1",
    "03-context-set",
    "06-series",
    "08-nested-clusters",
    "11-pump",
    "13-fixture-shapes",
]

TAMPERED = json.loads((CONFORMANCE / "20-replay-failures" / "original.json").read_text())
REFUSED = json.loads((CONFORMANCE / "21-run-failures" / "original.json").read_text())
CONSTRAINED = json.loads((CONFORMANCE / "24-constraints" / "original.json").read_text())

EXIT_BY_CODE = {
    None: 0,
    "replay.graph_id_mismatch": 4,
    "replay.adapter_provenance_mismatch": 4,
    "replay.runtime_provenance_mismatch": 4,
    "replay.adapter_required": 4,
    "replay.unexpected_adapter": 4,
    "replay.external_effect_kind_unrepresentable": 4,
    "replay.decision_mismatch": 1,
    "replay.effect_mismatch": 1,
    "cli.unknown_command": 2,
    "cli.missing_option_value": 2,
    "cli.invalid_option": 2,
}

CHANNELS = {"driver_bad_hello", "driver_missing_program", "process_without_adapter"}


def options(command: str) -> list[str]:
    """The options of one of the original's command lines that ours share: graph, adapter, cluster path."""
    words = shlex.split(command)[2:]
    graph = [] if "-g" in words else ["-g", words.pop(0)]
    kept = [(name, value) for name, value in pairwise(words) if name in ("-a", "-g", "--cluster-path")]
    return [*graph, *(word for pair in kept for word in pair)]


def original_of(case: Path) -> dict[str, str]:
    return json.loads((case / "original.json").read_text())


@pytest.mark.parametrize("style", ["compact", "pretty"])
@pytest.mark.parametrize("name", CAPTURED)
def test_c11_1_c30_88_captures_equal_the_originals_to_the_byte(
    name: str, style: str, ergo: Ergo, tmp_path: Path, conformance: Path
) -> None:
    case = conformance / name
    wanted = case / ("capture.json" if style == "compact" else "capture.pretty.json")
    ran = ergo(
        "capture", "events.jsonl", "-o", tmp_path / "b.json", f"--{style}", *options(original_of(case)["run"]), cwd=case
    )
    assert ran.exit_code == 0, ran.stderr
    assert (tmp_path / "b.json").read_bytes() == wanted.read_bytes()


@pytest.mark.parametrize("name", CAPTURED)
def test_c11_44_the_originals_bundles_replay_strictly(name: str, ergo: Ergo, conformance: Path) -> None:
    case = conformance / name
    flags = options("ergo replay " + original_of(case)["replay"].split("capture.json", 1)[1])
    for bundle in ("capture.json", "capture.pretty.json"):
        ran = ergo("replay", bundle, "--strict", *flags, cwd=case)
        assert ran.exit_code == 0, ran.stdout + ran.stderr


def test_c11_46_our_own_capture_of_drifting_decimals_verifies(ergo: Ergo, tmp_path: Path, conformance: Path) -> None:
    case = conformance / "17-float-drift"
    flags = ["-g", "graph.yaml", "-a", "adapter.yaml"]
    assert ergo("capture", "events.jsonl", "-o", tmp_path / "b.json", *flags, cwd=case).exit_code == 0
    assert ergo("replay", tmp_path / "b.json", "--strict", *flags, cwd=case).exit_code == 0
    ours, theirs = json.loads((tmp_path / "b.json").read_text()), json.loads((case / "capture.json").read_text())
    assert [event["event_id"] for event in ours["events"]] == [event["event_id"] for event in theirs["events"]]
    assert ours != theirs


@pytest.mark.parametrize("style", ["compact", "pretty"])
def test_c10_5_under_the_originals_numbers_the_drifting_capture_is_the_originals(
    style: str, ergo: Ergo, tmp_path: Path, conformance: Path
) -> None:
    case = conformance / "17-float-drift"
    flags = ["-g", "graph.yaml", "-a", "adapter.yaml", "--numbers", "original"]
    ran = ergo("capture", "events.jsonl", "-o", tmp_path / "b.json", f"--{style}", *flags, cwd=case)
    assert ran.exit_code == 0, ran.stderr
    wanted = case / ("capture.json" if style == "compact" else "capture.pretty.json")
    assert (tmp_path / "b.json").read_bytes() == wanted.read_bytes()


def test_c11_46_the_originals_own_drifted_bundle_verifies(ergo: Ergo, conformance: Path) -> None:
    """The original refuses it, since it misreads the recorded effects; the payloads themselves read the same."""
    case = conformance / "17-float-drift"
    for numbers in ("exact", "original"):
        flags = ["--strict", "-g", "graph.yaml", "-a", "adapter.yaml", "--numbers", numbers]
        assert ergo("replay", "capture.json", *flags, cwd=case).exit_code == 0


@pytest.mark.parametrize("name", sorted(CONSTRAINED))
def test_c11_39_schedules_of_the_original_replay_strictly(name: str, ergo: Ergo, conformance: Path) -> None:
    case = conformance / "24-constraints"
    ran = ergo("replay", f"{name}.json", "--strict", "-g", "graph.yaml", cwd=case)
    assert ran.exit_code == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", sorted(set(TAMPERED) - {"no_graph_option"}))
def test_c11_44_c30_91_tampered_bundles_are_refused_as_by_the_original(
    name: str, ergo: Ergo, conformance: Path
) -> None:
    case, original = conformance / "20-replay-failures", TAMPERED[name]
    bundle, *flags = shlex.split(original["command"])[2:]
    ran = ergo("replay", bundle, "--strict", "--format", "json", *flags, cwd=case)
    assert ran.exit_code == EXIT_BY_CODE.get(original["code"], 3), ran.stdout + ran.stderr
    report = ran.report
    assert headline(report) == original["code"]
    assert report["exit_code"] == ran.exit_code
    assert not (case / "target").exists()


def headline(report: dict) -> str | None:
    """The first error or divergence of a report, as the original would have called it."""
    if report["error"] is not None:
        return report["error"]["code"]
    found = [divergence["code"] for bundle in report["bundles"] for divergence in bundle["divergences"]]
    return found[0] if found else None


def test_c30_103_a_bundle_whose_program_nobody_knows_is_refused(ergo: Ergo, tmp_path: Path, conformance: Path) -> None:
    shutil.copy(conformance / "20-replay-failures" / "good.json", tmp_path / "good.json")
    ran = ergo("replay", "good.json", "--strict", "--format", "json")
    assert ran.exit_code == 3
    assert ran.report["error"]["code"] == "program.not_found"


@pytest.mark.parametrize(
    "name", sorted(name for name in REFUSED if name not in CHANNELS and "-f" in REFUSED[name]["command"])
)
def test_c11_44_inputs_that_the_original_refuses_are_refused(
    name: str, ergo: Ergo, tmp_path: Path, conformance: Path
) -> None:
    if name == "flag_without_value":
        ran = ergo("capture", "--format", "json", "events.jsonl", "-g", cwd=conformance / "21-run-failures")
        assert (ran.exit_code, ran.report["error"]["code"]) == (2, "cli.missing_option_value")
        return
    words = shlex.split(REFUSED[name]["command"])
    events = words[words.index("-f") + 1]
    destination = tmp_path / "b.json"
    destination.write_text("the bundle of yesterday")
    ran = ergo(
        "capture",
        events,
        "-o",
        destination,
        *options(REFUSED[name]["command"]),
        "--format",
        "json",
        cwd=conformance / "21-run-failures",
    )
    invalid_but_run = name.startswith("ACCEPTED") or name == "bad_output"
    code = "graph.prepare_failed" if invalid_but_run else REFUSED[name]["code"]
    assert ran.exit_code == 3, ran.stdout + ran.stderr
    assert ran.report["error"]["code"] == code
    assert ran.report["error"]["fix"]
    assert "Traceback" not in ran.stderr
    assert destination.read_text() == "the bundle of yesterday"
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


def test_c30_104_unknown_command(ergo: Ergo) -> None:
    ran = ergo("zzz", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (2, "cli.unknown_command")

"""Environment variables of pipelines (spec 60 §24): `run` and `capture` alone read them, once a run (H-13)."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from replayed_kernels import resealed_entry, sealed

from ergo_cli.programs.pipeline import PipelineProgram, launch, sink, source
from ergo_cli.programs.pipeline.environment import configured, environment_notices
from ergo_cli.programs.pipeline.ids import CountedIds
from ergo_cli.programs.pipeline.settings import PipelineSettings
from ergo_cli.programs.pipeline.state_machine import name_of
from ergo_cli.testing.virtual_time import run_in_virtual_time
from tests.cli.pipeline_projects import BUNDLE, Home, facts, frames, records
from tests.conftest import Ergo

KEEP = "def kept(event):\n    pass\n"
STARTUP, CONTRACT = "ERGO_PIPELINE_STARTUP_MODE", "ERGO_SOURCE_CONTRACT_STRICT_MODE"
SHUTDOWN, METRICS = "ERGO_PIPELINE_SHUTDOWN_TIMEOUT_SECS", "ERGO_METRICS_DRAIN_TIMEOUT_MS"


def older(name: str) -> str:
    return name.replace("ERGO_PIPELINE_", "OBZENFLOW_").replace("ERGO_", "OBZENFLOW_")


def with_settings(tmp_path: Path, settings: str = "") -> Home:
    more = f"settings=PipelineSettings({settings})"
    return Home(tmp_path / "own").program('source("in")', 'sink("out", kept)', handlers=KEEP, more=more)


def settings_of(bundle: Any) -> Any:
    [artifact] = bundle["artifacts"].values()
    return artifact["json"]["settings"]


def captured(ergo: Ergo, home: Home, **env: str) -> tuple[Any, str]:
    """The bundle of a capture, and what it warned of."""
    ran = ergo("capture", cwd=home.root, **env)
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    return home.kept(), " ".join(ran.stderr.split())


@pytest.mark.parametrize("name", [CONTRACT, older(CONTRACT)])
@pytest.mark.parametrize("text", ["warn", "WARN"])
def test_the_environment_comes_before_the_program(ergo: Ergo, tmp_path: Path, name: str, text: str) -> None:
    home = with_settings(tmp_path, 'source_contract="abort", shutdown_timeout_ms=7000')
    bundle, warned = captured(ergo, home, **{name: text, SHUTDOWN: "5"})
    assert settings_of(bundle) == {"shutdown_timeout_ms": 5000, "source_contract": "warn"}
    assert warned == ""


def test_without_variables_the_program_decides(ergo: Ergo, tmp_path: Path) -> None:
    home = with_settings(tmp_path, 'source_contract="warn", shutdown_timeout_ms=7000')
    bundle, warned = captured(ergo, home, **{CONTRACT: "", older(CONTRACT): "", SHUTDOWN: ""})
    assert settings_of(bundle) == {"shutdown_timeout_ms": 7000, "source_contract": "warn"}
    assert warned == ""


def test_a_replay_takes_the_recorded_settings(ergo: Ergo, tmp_path: Path) -> None:
    """Strictly the same, with the variables of the capture, with others, and with none."""
    home = with_settings(tmp_path)
    captured(ergo, home, **{CONTRACT: "warn", SHUTDOWN: "5"})
    for env in ({CONTRACT: "warn", SHUTDOWN: "5"}, {CONTRACT: "abort", SHUTDOWN: "9"}, {}):
        ran = ergo("replay", BUNDLE, "--strict", cwd=home.root, **env)
        assert (ran.exit_code, ran.stderr) == (0, ""), ran.stdout


STOPPING = "import os, signal\ndef stop(given, call):\n    os.kill(os.getpid(), signal.SIGTERM)\n    return None\n"
ACT = 'def act(event, effects):\n    effects.perform("world.stop", event.payload)\n'


def test_a_stop_has_the_time_of_the_environment_and_replays_strictly(ergo: Ergo, tmp_path: Path) -> None:
    home = Home(tmp_path / "own").program(
        'source("in")', 'sink("out", act)', handlers=ACT, more='effects={"world.stop": "world:stop"}'
    )
    home.world(STOPPING)
    ran = ergo("capture", cwd=home.root, **{SHUTDOWN: "5"})
    assert ran.exit_code == 130, ran.stderr
    [asked] = [
        event
        for event in records(home.kept()["journals"][-1], "system")
        if event.get("pipeline_event") == "stop_requested"
    ]
    assert asked["timeout_ms"] == 5000
    replayed = ergo("replay", BUNDLE, "--strict", cwd=home.root)
    assert (replayed.exit_code, replayed.stderr) == (0, ""), replayed.stdout


@pytest.mark.parametrize(
    ("env", "warning"),
    [
        ({STARTUP: "manual"}, "ERGO_PIPELINE_STARTUP_MODE is 'manual': a manual start is for the library"),
        ({older(STARTUP): "MANUAL"}, "OBZENFLOW_STARTUP_MODE is 'MANUAL': a manual start is for the library"),
        ({STARTUP: "x"}, "ERGO_PIPELINE_STARTUP_MODE is 'x': neither 'auto' nor 'manual'; taken as 'auto'"),
        ({CONTRACT: "x"}, "ERGO_SOURCE_CONTRACT_STRICT_MODE is 'x': neither 'abort' nor 'warn'; taken as 'abort'"),
        ({SHUTDOWN: "1s"}, "ERGO_PIPELINE_SHUTDOWN_TIMEOUT_SECS is '1s': not a whole number of seconds; passed over"),
        ({METRICS: "7"}, "ERGO_METRICS_DRAIN_TIMEOUT_MS is '7': changes nothing, since no aggregator of metrics runs"),
    ],
    ids=lambda value: next(iter(value.values())) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("command", ["run", "capture"])
def test_a_value_that_is_not_taken_as_it_stands_is_named(
    ergo: Ergo, tmp_path: Path, command: str, env: dict[str, str], warning: str
) -> None:
    home = with_settings(tmp_path)
    ran = ergo(command, "--format", "json", cwd=home.root, **env)
    assert ran.exit_code == 0, ran.stdout
    [notice] = ran.report["warnings"]
    assert notice.startswith(f"environment: {warning}")


def test_a_program_that_starts_by_hand_starts_with_its_first_event(ergo: Ergo, tmp_path: Path) -> None:
    """§12.2: ``run`` and ``capture`` always start by themselves, and so does a replay."""
    home = with_settings(tmp_path, 'startup_mode="manual"')
    bundle, warned = captured(ergo, home)
    assert [end["termination"] for end in frames(bundle, "end")] == ["Completed"] * 4
    assert facts(bundle)[-2:] == ["completed", "drained"]
    assert "the setting 'startup_mode' is 'manual', which is for the library" in warned
    ran = ergo("replay", BUNDLE, "--strict", cwd=home.root)
    assert ran.exit_code == 0, ran.stdout + ran.stderr


def test_other_kinds_mind_no_variable_of_pipelines(ergo: Ergo, tmp_path: Path) -> None:
    event = {"kind": "event", "event": {"type": "Command", "id": "e1", "payload": {}}}
    (tmp_path / "events.jsonl").write_text(f'{{"kind":"episode_start","id":"d"}}\n{json.dumps(event)}\n')
    ran = ergo("run", "events.jsonl", "--format", "json", cwd=tmp_path, **{STARTUP: "manual", METRICS: "7"})
    assert ran.exit_code == 0, ran.stdout
    assert [warning for warning in ran.report["warnings"] if "environment" in warning] == []


def test_h60_13_each_run_has_settings_of_its_own(ergo: Ergo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept over a run, and nothing but the command line looks at the environment."""
    home = with_settings(tmp_path)
    modes = [settings_of(captured(ergo, home, **{CONTRACT: text})[0])["source_contract"] for text in ("warn", "", "x")]
    assert modes == ["warn", "abort", "abort"]
    monkeypatch.setenv(CONTRACT, "warn")
    monkeypatch.setenv(STARTUP, "manual")
    assert PipelineSettings().source_contract == "abort"

    async def main() -> str:
        program = PipelineProgram("p", (source("in"), sink("out", lambda event: None)), (("in", "out"),))
        handle = await launch(program, {"in": [1]}, ids=CountedIds("p"), wall_ms=lambda: 0)
        await handle.wait()
        return name_of(handle.state)

    assert run_in_virtual_time(main()) == "Drained"


def test_of_two_names_the_first_one_that_is_set_wins() -> None:
    settings = PipelineSettings()
    both = {SHUTDOWN: "5", older(SHUTDOWN): "6"}
    assert configured(settings, both).shutdown_timeout_ms == 5000
    assert configured(settings, {**both, SHUTDOWN: ""}).shutdown_timeout_ms == 6000
    assert configured(settings, {CONTRACT: "abort", older(CONTRACT): "warn"}).source_contract == "abort"


@pytest.mark.parametrize("text", ["-1", "1.5", "x", "٣", "9223372036854775", "9" * 400])
def test_a_time_that_is_none_leaves_that_of_the_program(text: str) -> None:
    settings = PipelineSettings(shutdown_timeout_ms=7000)
    if text == "9223372036854775":  # the largest number of seconds whose milliseconds are below 2^63
        assert configured(settings, {SHUTDOWN: text}).shutdown_timeout_ms == 9223372036854775000
        text = "9223372036854776"
    assert configured(settings, {SHUTDOWN: text}) == settings
    [notice] = environment_notices({SHUTDOWN: text})
    assert "not a whole number of seconds" in notice.message


@pytest.mark.parametrize(
    ("setting", "value"),
    [("source_contract", "x"), ("shutdown_timeout_ms", -1), ("shutdown_timeout_ms", "5"), ("drain_timeout_ms", 1.5)],
)
def test_a_bundle_whose_manifest_has_other_settings_is_refused(
    ergo: Ergo, tmp_path: Path, setting: str, value: object
) -> None:
    home = with_settings(tmp_path)
    bundle, _ = captured(ergo, home)
    [artifact] = bundle["artifacts"].values()
    artifact["json"]["settings"] = dict(sorted({**artifact["json"]["settings"], setting: value}.items()))
    name = sha256(json.dumps(artifact["json"], sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    bundle["artifacts"] = {name: artifact}
    frames(bundle, "begin")[0]["initial"] = name
    resealed_entry(bundle["journals"][0])
    (home.root / BUNDLE).write_bytes(sealed(bundle))
    ran = ergo("replay", BUNDLE, "--format", "json", cwd=home.root)
    error = ran.report["bundles"][0]["error"]
    assert (ran.exit_code, error["code"]) == (3, "bundle.journal_invalid"), ran.stdout
    assert "it is not the manifest of a flow" in error["message"]

"""Own primitives through the commands: captured, replayed from everywhere, guarded, refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo

FIXTURE = Path(__file__).parents[2] / "fixtures" / "own_primitives"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the fixture project to work in."""
    return Path(shutil.copytree(FIXTURE, tmp_path / "home", ignore=shutil.ignore_patterns("__pycache__")))


def rewrite(home: Path, old: str, new: str) -> None:
    """Change the module of own primitives; its size changes too, so that no stale bytecode can be taken for it."""
    module = home / "trend" / "primitives.py"
    text = module.read_text()
    assert old in text
    assert len(old) != len(new)
    module.write_text(text.replace(old, new))


def test_the_effects_of_own_primitives_are_captured_and_proven(ergo: Ergo, home: Path) -> None:
    kept = home / "captures" / "prices.json"
    assert ergo("capture", "-o", "again.json", "--pretty", "--guard", cwd=home).exit_code == 0
    assert (home / "again.json").read_bytes() == kept.read_bytes()
    assert ergo("replay", "--strict", "--guard", cwd=home).exit_code == 0
    decisions = json.loads(kept.read_text())["decisions"]
    effects = [each["effect"] for decision in decisions for each in decision["effects"]]
    (order,) = [effect for effect in effects if effect["kind"] == "place_order"]
    fields = {field["name"]: field["value"] for field in order["intents"][0]["fields"]}
    assert fields == {"price": {"Number": 106.25}, "side": {"String": "buy"}, "venue": {"String": "xetra"}}
    assert [write["key"] for effect in effects for write in effect["writes"]].count("ordered_at") == 1


def test_an_embedded_program_and_one_of_the_store_take_primitives_from_the_project(ergo: Ergo, home: Path) -> None:
    assert ergo("capture", "--embed", "-o", "embedded.json", cwd=home).exit_code == 0
    assert ergo("capture", "-o", "plain.json", cwd=home).exit_code == 0
    project = (home / "ergo.toml").read_text().partition("[profiles.default]")[0]
    (home / "ergo.toml").write_text(project + "[profiles]\n")
    ran = ergo("replay", "--strict", "-v", "plain.json", cwd=home)
    assert (ran.exit_code, "found by program store" in ran.stderr) == (0, True)
    ran = ergo("replay", "--strict", "-v", "embedded.json", cwd=home, XDG_DATA_HOME=str(home / "nothing"))
    assert (ran.exit_code, "found by embedded program" in ran.stderr) == (0, True)


def test_without_the_project_the_missing_primitive_is_named(ergo: Ergo, home: Path, tmp_path: Path) -> None:
    assert ergo("capture", "-o", "../bundle.json", cwd=home).exit_code == 0
    ran = ergo("replay", "bundle.json", "--format", "json", cwd=tmp_path)
    assert ran.exit_code == 3
    error = ran.report["bundles"][0]["error"]
    assert error["code"] == "replay.host_setup_failed"
    (cause,) = error["causes"]
    assert (cause["code"], cause["rule"]) == ("graph.prepare_failed", "I.6")
    assert "'last_average'" in cause["fix"]
    assert "the key 'primitives' of ergo.toml" in cause["fix"]
    assert ergo("replay", "bundle.json", "--strict", "--project", "home", cwd=tmp_path).exit_code == 0


def test_a_bundle_beside_a_project_does_not_make_its_modules_run(ergo: Ergo, home: Path, tmp_path: Path) -> None:
    (home / "trend" / "primitives.py").write_text("raise SystemExit('imported')\n")
    ran = ergo("replay", "home/captures/prices.json", "--format", "json", cwd=tmp_path)
    assert ran.exit_code == 3
    assert ran.report["bundles"][0]["error"]["code"] == "program.import_refused"
    assert "imported" not in ran.stderr.replace("is not imported", "")


def test_a_changed_manifest_is_another_program(ergo: Ergo, home: Path) -> None:
    rewrite(home, "*, alpha: float = 0.5)", "*, alpha: float = 0.5, floor: float = 0.0)")
    ran = ergo("replay", "--strict", "--format", "json", cwd=home)
    assert ran.exit_code == 4
    assert ran.report["bundles"][0]["error"]["code"] == "replay.runtime_provenance_mismatch"
    ran = ergo("replay", cwd=home)
    assert ran.exit_code == 0
    assert "the program changed" in ran.stderr


def test_changed_code_under_the_same_manifest_is_a_divergence_of_its_node(ergo: Ergo, home: Path) -> None:
    rewrite(home, "before + alpha * (price - before)", "before + alpha * (price - before) * 1.5")
    ran = ergo("replay", "--strict", "--format", "json", cwd=home)
    assert ran.exit_code == 1
    (first, *_) = ran.report["bundles"][0]["divergences"]
    assert (first["node"], first["kind"]) == ("remember", "effect_changed")


def test_a_primitive_that_raises_fails_its_episode_and_tells_nothing_but_that(ergo: Ergo, home: Path) -> None:
    rewrite(home, "    before = before or price", "    before = before / 0 or price")
    ran = ergo("capture", "-o", "failed.json", "--fail-on-error", "--format", "json", cwd=home)
    assert (ran.exit_code, ran.report["run"]["failed"]) == (1, 6)
    assert "Traceback" not in ran.stderr
    decisions = json.loads((home / "failed.json").read_text())["decisions"]
    assert {json.dumps(decision["termination"]) for decision in decisions} == {'{"Failed": "RuntimeError"}'}
    assert ergo("replay", "--strict", "failed.json", cwd=home).exit_code == 0


def test_a_primitive_that_wants_to_exit_fails_its_episode_and_not_the_command(ergo: Ergo, home: Path) -> None:
    rewrite(home, "    before = before or price", "    raise SystemExit(0)")
    ran = ergo("capture", "-o", "failed.json", "--fail-on-error", "--format", "json", cwd=home)
    assert (ran.exit_code, ran.report["run"]["events"], ran.report["run"]["failed"]) == (1, 6, 6)


@pytest.mark.parametrize("command", ["run", "capture"])
def test_what_a_module_prints_goes_to_standard_error(command: str, ergo: Ergo, home: Path) -> None:
    rewrite(home, "    before = before or", "    print('smoothing')\n    before = before or")
    with (home / "trend" / "primitives.py").open("a") as module:
        module.write("print('imported')\nimport atexit\natexit.register(print, 'ended')\n")
    ran = ergo(command, "--format", "json", cwd=home)
    assert (ran.exit_code, ran.report["outcome"]) == (0, "completed")
    assert ran.stderr.count("smoothing") == 6
    assert ran.stderr.count("imported") == 1
    assert ran.stderr.endswith("ended\n")


@pytest.mark.parametrize("command", [("run",), ("capture", "-o", "kept.json"), ("replay", "captures/prices.json")])
def test_under_guard_a_primitive_that_reads_the_clock_is_refused(
    command: tuple[str, ...], ergo: Ergo, home: Path
) -> None:
    rewrite(home, "    before = before or", "    now = time.time()\n    before = before + 0 * now or")
    rewrite(home, "from typing import NamedTuple", "import time\nfrom typing import NamedTuple")
    ran = ergo(*command, "--guard", "--format", "json", cwd=home)
    assert ran.exit_code == 3
    error = ran.report["error"]
    assert error["code"] == "primitive.nondeterministic"
    assert error["message"].startswith("primitive 'ema' uses time.time")
    file, _, line = error["where"].rpartition(":")
    assert "time.time()" in Path(file).read_text().splitlines()[int(line) - 1]
    assert not (home / "kept.json").exists()
    assert not list(home.glob("*.tmp"))
    assert ergo(*command, cwd=home).exit_code == 0


def test_a_broken_module_is_told_once_with_place_and_remedy(ergo: Ergo, home: Path) -> None:
    (home / "trend" / "primitives.py").write_text("import nothing_such\n")
    ran = ergo("run", cwd=home)
    assert (ran.exit_code, ran.stdout) == (3, "")
    lines = ran.stderr.splitlines()
    fault = "module 'trend.primitives' cannot be imported: ModuleNotFoundError"
    assert lines[0].startswith(f"error: trend/primitives.py:1  {fault}")
    assert lines[1].startswith("  fix: ")


COMMANDS = [
    ("run",),
    ("capture", "-o", "never.json"),
    ("replay", "captures/prices.json"),
    ("replay", "captures/prices.json", "--strict"),
    ("explain", "captures/prices.json", "--event", "t1"),
    ("validate", "ergo.toml"),
    ("validate", "graphs/trend.yaml"),
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("def ema(", "async def ema(", "Compute 'ema' is an async function: its result would be a coroutine"),
        (
            "    return Smoothed(before, before + alpha * (price - before))",
            "    yield Smoothed(before, price)",
            "Compute 'ema' is a generator function: its result would be a generator",
        ),
    ],
)
def test_a_function_that_gives_no_result_is_refused_at_load(
    ergo: Ergo, home: Path, command: tuple[str, ...], old: str, new: str, why: str
) -> None:
    rewrite(home, old, new)
    line = (home / "trend" / "primitives.py").read_text().splitlines().index('@compute("ema", "1.0.0")') + 1
    report = ergo(*command, "--format", "json", cwd=home).report
    error = report["error"]
    assert (report["exit_code"], error["code"]) == (3, "program.unfit_function")
    assert why in error["message"]
    assert error["where"].endswith(f"trend/primitives.py:{line}")
    assert error["fix"] == "write a plain function with the same arguments that returns its result"
    assert not (home / "never.json").exists()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("head", "why"),
    [
        ("def decide(inputs):", "cannot be called with (inputs, params): too many positional arguments"),
        ("def decide(inputs, params, more):", "cannot be called with (inputs, params): missing a required argument"),
        ("async def decide(inputs, params):", "is an async function: its result would be a coroutine"),
    ],
)
def test_a_call_that_its_family_cannot_make_is_refused_at_load(
    ergo: Ergo, home: Path, command: tuple[str, ...], head: str, why: str
) -> None:
    module = home / "trend" / "primitives.py"
    text = module.read_text() + (
        "\n\nfrom ergo_cli.core.values import ValueType\n"
        "from ergo_cli.programs.graph.primitives.primitive import InputSpec, OutputSpec, Primitive, TriggerManifest\n"
        "\n\n"
    )
    line = text.count("\n") + 1
    ports = '(InputSpec("a", ValueType.BOOL),), (OutputSpec("event", ValueType.EVENT),)'
    odd = f'Primitive(TriggerManifest("odd", "1.0.0", {ports}), decide)'
    module.write_text(f"{text}{head}\n    return {{}}\n\n\nodd = {odd}\n")
    report = ergo(*command, "--format", "json", cwd=home).report
    error = report["error"]
    assert (report["exit_code"], error["code"]) == (3, "program.unfit_function")
    assert f"evaluate of Trigger 'odd' {why}" in error["message"]
    assert error["where"].endswith(f"trend/primitives.py:{line}")
    assert error["fix"] == "write a plain function evaluate(inputs, params) that returns its result"


@pytest.mark.parametrize(
    ("old", "new", "what", "name"),
    [
        ("level: float) -> bool", "level: float) -> boo", "a return annotation", "boo"),
        ("level: float) -> bool", "level: floa) -> bool", "an annotation of 'level'", "floa"),
    ],
)
def test_an_annotation_that_cannot_be_read_is_said_to_be_one(
    ergo: Ergo, home: Path, old: str, new: str, what: str, name: str
) -> None:
    rewrite(home, old, new)
    assert ergo("run", cwd=home).stderr.splitlines() == [
        f"error: trend/primitives.py:30  Trigger 'rises_above' has {what} that cannot be read: "
        f"NameError: name '{name}' is not defined",
        "  fix: Correct the annotation: a name in it must be built in, imported or defined in the module",
    ]
    error = ergo("run", "--format", "json", cwd=home).report["error"]
    assert (error["where"], error["details"]) == (f"{home}/trend/primitives.py:30", [])


@pytest.mark.parametrize("more", [(), ("--strict",)])
def test_code_of_an_own_primitive_that_changed_is_the_cause(ergo: Ergo, home: Path, more: tuple[str, ...]) -> None:
    rewrite(home, "before + alpha * (price - before)", "before + alpha * (price - before) * 2")
    ran = ergo("replay", *more, cwd=home)
    assert ran.exit_code == 1
    said = [line for line in ran.stdout.splitlines() if line.startswith("  because")]
    assert said == ["  because   the graph is the captured one: the code of an own primitive decides otherwise"]
    divergences = ergo("replay", *more, "--format", "json", cwd=home).report["bundles"][0]["divergences"]
    assert {each["cause"] for each in divergences} == {"primitive_code"}

"""What a command does not import: start-up is most of what a small one takes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[2] / "fixtures"
RATE_LIMITED = FIXTURES / "rate_limited"
ORDERS = FIXTURES / "order_threshold"

_SCRIPT = """
import sys
from ergo_cli.cli.app import execute
assert execute(sys.argv[1:]) == 0
print("imported:", *sys.modules)
"""

NEVER = {
    "asyncio",
    "concurrent.futures",
    "csv",
    "importlib.metadata",
    "multiprocessing",
    "psycopg",
    "pyarrow",
    "rich",
    "sqlite3",
    "ergo_cli.channels.egress",
    "ergo_cli.channels.ingress",
    "ergo_cli.tools",
    "ergo_cli.library",
    "ergo_cli.primitives",
    "ergo_cli.programs.graph.authoring",
    "ergo_cli.host.kept_runs",
    "ergo_cli.programs.kernel",
    "ctypes",
    "ergo_cli.project.forbidden",
    "ergo_cli.project.guard",
    "ergo_cli.project.stand_ins",
    "ergo_cli.project.python_programs",
    "ergo_cli.replay.parallel",
    "ergo_cli.stores.postgres",
    "ergo_cli.stores.sqlite",
}
"""What neither a capture nor a replay of a graph has a use for, where there are no channels and no jobs."""

CHANNELS = {"ergo_cli.channels.process"}
LONG_WAY = {
    "ergo_cli.host.recovery",
    "ergo_cli.programs.graph.referee",
    "ergo_cli.replay.compare",
    "ergo_cli.replay.comparison",
    "ergo_cli.replay.joining",
}
WRITING = {"ergo_cli.bundle.writer"}


def imported(*arguments: str | Path, cwd: Path) -> set[str]:
    """The modules that a command has imported when it is done, packages by their own name."""
    command = [sys.executable, "-c", _SCRIPT, *map(str, arguments)]
    environment = {"HOME": str(cwd), "XDG_DATA_HOME": str(cwd / "data")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("command", ["run", "replay", "runs"])
def test_only_the_command_that_is_asked_for_is_imported(command: str, tmp_path: Path) -> None:
    modules = imported(command, "--help", cwd=tmp_path)
    commands = {
        "run",
        "capture",
        "replay",
        "diff",
        "inspect",
        "explain",
        "validate",
        "init",
        "graph",
        "recover",
        "redact",
        "runs",
    }
    assert {name for name in commands if f"ergo_cli.cli.{name}" in modules} == {command}
    assert not modules & {"msgspec", "ergo_cli.cli.session"}


def test_the_version_imports_nothing_but_the_parser(tmp_path: Path) -> None:
    modules = {module for module in imported("--version", cwd=tmp_path) if module.startswith("ergo_cli")}
    assert modules == {
        "ergo_cli",
        "ergo_cli.cli",
        "ergo_cli.cli.app",
        "ergo_cli.cli.commands",
        "ergo_cli.core",
        "ergo_cli.core.numbers",
        "ergo_cli.signals",
        "ergo_cli.version",
    }


def test_the_help_imports_no_library(tmp_path: Path) -> None:
    assert not imported("--help", cwd=tmp_path) & (NEVER | {"msgspec", "ruamel.yaml", "jsonschema_rs", "platformdirs"})


def test_a_match_imports_neither_the_long_way_nor_what_it_does_not_use(tmp_path: Path) -> None:
    program = ("-g", ORDERS / "graphs" / "order_threshold.yaml", "-a", ORDERS / "adapters" / "order_desk.yaml")
    bundle = tmp_path / "monday.json"
    bundle.write_bytes((ORDERS / "captures" / "monday.json").read_bytes())
    modules = imported("replay", bundle, *program, "--strict", cwd=tmp_path)
    assert not modules & (NEVER | CHANNELS | LONG_WAY | WRITING | {"tomllib"})


def test_the_built_in_program_reads_no_yaml_and_no_schema(tmp_path: Path) -> None:
    shutil.copy(RATE_LIMITED / "events" / "burst.jsonl", tmp_path)
    unused = NEVER | {"ruamel.yaml", "jsonschema_rs"}
    assert not imported("capture", "burst.jsonl", "-o", "b.json", cwd=tmp_path) & unused
    assert not imported("replay", "b.json", "--strict", cwd=tmp_path) & (unused | CHANNELS | LONG_WAY)


def test_a_diff_reads_no_yaml_and_no_schema(tmp_path: Path) -> None:
    bundle = ORDERS / "captures" / "monday.json"
    assert not imported("diff", bundle, bundle, cwd=tmp_path) & (NEVER | {"ruamel.yaml", "jsonschema_rs"})

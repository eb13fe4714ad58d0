"""What every refusal looks like, and what stands around one: a project, a shell, the files before and after."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import Ergo, Ran

PROJECT = Path(__file__).parents[2] / "fixtures" / "order_threshold"
GRAPH = PROJECT / "graphs" / "order_threshold.yaml"
ADAPTER = PROJECT / "adapters" / "order_desk.yaml"
EVENTS = PROJECT / "events" / "monday.jsonl"
PROGRAM = ("-g", GRAPH, "-a", ADAPTER)
V3 = (PROJECT / "captures" / "monday.json").read_bytes()
ERGO = str(Path(sys.executable).with_name("ergo"))
MEMORY = "ulimit -d 153600; exec"
"""Keeps a process from taking more than 150 MiB."""


def shell(script: str) -> tuple[str, ...]:
    """What runs a command in a shell, ``script`` standing before it."""
    return "/bin/sh", "-c", f'{script} "$@"', "sh"


def as_a_user() -> tuple[str, ...]:
    """What runs a command without the superuser's right to read and write everything; skips where there is no way."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("the superuser may read everything, and there is no setpriv")
    return "setpriv", "--bounding-set=-all", "--inh-caps=-all"


def files(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder with its content; None for what is no file."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def refused(ran: Ran, exit_code: int, *codes: str) -> None:
    """A refusal as spec 00 §7 has it, told as one document and as one block, with ``codes`` among its errors."""
    assert "Traceback" not in ran.stderr
    assert ran.exit_code == exit_code, ran.stderr
    assert ran.stdout.count("\n") == 1
    error = ran.report["error"]
    assert ran.report["exit_code"] == exit_code
    assert set(codes) <= {error["code"], *(cause["code"] for cause in error["causes"]), error["rule"]}
    assert error["message"]
    assert error["where"]
    assert error["fix"]
    block = ran.stderr.splitlines()
    assert [line for line in block if line.startswith("error: ")]
    assert [line for line in block if line.lstrip().startswith("fix: ")]
    assert max(map(len, block)) < 2200


def refused_leaving_all_as_it_was(
    ergo: Ergo, folder: Path, arguments: list[str | Path], exit_code: int, *codes: str
) -> None:
    """As ``refused``, within 150 MiB; an earlier bundle and all else in the folder stay what they are."""
    (folder / "b.json").write_text("the bundle of yesterday")
    before = files(folder)
    ran = ergo(*arguments, "--format", "json", through=shell(MEMORY))
    refused(ran, exit_code, *codes)
    assert files(folder) == before

"""A module rewritten within the second of its last change, in the same length, runs as it is written now."""

from __future__ import annotations

import os
import py_compile
from hashlib import sha256
from pathlib import Path

import pytest

from tests.cli.plan_projects import Home, edit
from tests.conftest import Ergo


def snapshot(n: int) -> str:
    """The id of the context that holds ``n``."""
    return sha256(f'{{"n":{n}}}'.encode()).hexdigest()


def rewrite(file: Path, old: str, new: str) -> None:
    """Edit without a trace in what bytecode files are checked by: length and time of the last change."""
    before = file.stat()
    edit(file, old, new)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("helper", [False, True], ids=["the program's module", "a module that it imports"])
def test_today_s_text_runs_and_not_yesterday_s_bytecode(ergo: Ergo, tmp_path: Path, helper: bool) -> None:
    home = Home(tmp_path / "own")
    home.one("import own.numbers; ctx.write('n', own.numbers.N)" if helper else "ctx.write('n', 1)")
    (home.root / "own" / "numbers.py").write_text("N = 1\n")
    changed = home.root / "own" / ("numbers.py" if helper else "program.py")
    py_compile.compile(str(changed))
    assert ergo("capture", "-o", "b.json", cwd=home.root).exit_code == 0
    assert ergo("replay", "b.json", "--strict", cwd=home.root).exit_code == 0
    rewrite(changed, *(("N = 1", "N = 2") if helper else ("'n', 1", "'n', 2")))
    ran = ergo("replay", "b.json", "--format", "json", cwd=home.root)
    differences = [(each["expected"], each["actual"]) for each in ran.report["bundles"][0]["divergences"]]
    assert (ran.exit_code, differences) == (1, [(snapshot(1), snapshot(2))])


def test_no_bytecode_is_written_beside_a_project_s_modules(ergo: Ergo, tmp_path: Path) -> None:
    home = Home(tmp_path / "own")
    home.one("ctx.write('n', 1)")
    assert ergo("capture", "-o", "b.json", cwd=home.root).exit_code == 0
    assert list(home.root.rglob("*.pyc")) == []

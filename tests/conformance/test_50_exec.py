"""Programs run for calls of plans: lines C-144 to C-148 of spec 50 §24, with real programs."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ergo_cli import exec_transport
from ergo_cli.programs.plan.errors import IoError, Other, Transport
from ergo_cli.programs.plan.facts import IoCall

MIB = 2**20


def program(path: Path, text: str) -> Path:
    """An executable script of the shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def ask(path: Path | str, **more: Any) -> dict[str, Any]:
    return {"kind": "run_program_v1", "program_path": str(path), **more}


def refused(request: Any, *allowed: Path, **settings: Any) -> IoError:
    transport = exec_transport({path: digest(path) for path in allowed}, **settings)
    with pytest.raises(IoError) as caught:
        transport(IoCall("tool", request, "k"))
    return caught.value


def test_c50_144_a_program_that_is_not_allowed() -> None:
    error = refused(ask("/bin/echo"))
    assert (error.code, type(error.form), error.info.category.value) == (
        "plan.exec_program_not_allowed",
        Other,
        "Unknown",
    )


def test_c50_144_a_program_that_is_missing(tmp_path: Path) -> None:
    gone = program(tmp_path / "gone", "echo 1")
    transport = exec_transport({gone: digest(gone)})
    gone.unlink()
    with pytest.raises(IoError) as caught:
        transport(IoCall("tool", ask(gone), "k"))
    assert (caught.value.code, type(caught.value.form)) == ("plan.exec_program_missing", Other)


@pytest.mark.parametrize(
    "request_",
    [
        "hunter2",
        None,
        [],
        {},
        {"kind": "run_program_v1"},
        {"program_path": "/bin/echo"},
        {"kind": "run_program_v2", "program_path": "/bin/echo"},
        ask("/bin/echo", argv="hunter2"),
        ask("/bin/echo", env=["hunter2"]),
        ask("/bin/echo", env={"A": 1}),
        ask("/bin/echo", timeout_ms=-1),
        ask("/bin/echo", timeout_ms=2**64),
        ask("/bin/echo", timeout_ms=1.5),
    ],
)
def test_c50_144_a_request_that_is_none(request_: Any) -> None:
    error = refused(request_)
    assert (error.code, type(error.form), error.info.category.value) == (
        "plan.exec_request_invalid",
        Other,
        "ParsingInput",
    )
    assert "hunter2" not in str(error) + str(error.info)


def test_c50_145_the_path_is_resolved_before_it_is_looked_up(tmp_path: Path) -> None:
    inside = program(tmp_path / "allowed" / "inside.sh", "echo 1")
    outside = program(tmp_path / "outside.sh", "echo 1; exit 3")
    linked = tmp_path / "allowed" / "linked.sh"
    linked.symlink_to(outside)
    for path in (tmp_path / "allowed" / ".." / "outside.sh", linked):
        assert refused(ask(path), inside).code == "plan.exec_program_not_allowed"


def test_c50_145_a_file_whose_name_only_begins_so_is_another(tmp_path: Path) -> None:
    a, ab = program(tmp_path / "a", "echo 1"), program(tmp_path / "ab", "echo 1")
    assert refused(ask(ab), a).code == "plan.exec_program_not_allowed"


def test_c50_146_another_status_than_0(tmp_path: Path) -> None:
    failing = program(tmp_path / "failing", "echo hunter2; echo hunter2 >&2; exit 42")
    error = refused(ask(tmp_path / "failing", stdin_json="hunter2"), failing)
    assert (error.code, type(error.form)) == ("plan.exec_failed", Transport)
    assert error.info.details == {"program_path": str(failing.resolve()), "exit_code": 42, "signal": None}
    assert "hunter2" not in str(error) + str(error.info)


def test_c50_146_a_program_that_a_signal_ends(tmp_path: Path) -> None:
    failing = program(tmp_path / "failing", "kill -TERM $$")
    assert refused(ask(failing), failing).info.details == {
        "program_path": str(failing),
        "exit_code": None,
        "signal": 15,
    }


@pytest.mark.parametrize("given", [None, "x" * 256 * 1024])
def test_c50_147_a_program_that_takes_too_long(tmp_path: Path, given: Any) -> None:
    busy = program(tmp_path / "busy", "while :; do :; done")
    error = refused(ask(busy, timeout_ms=20, stdin_json=given), busy)
    assert (error.code, type(error.form)) == ("plan.exec_timeout", Transport)
    assert error.info.details == {"program_path": str(busy), "timeout_ms": 20}


def test_c50_148_more_input_than_a_program_may_be_given(tmp_path: Path) -> None:
    counting = program(tmp_path / "counting", "wc -c")
    transport = exec_transport({counting: digest(counting)})
    assert transport(IoCall("tool", ask(counting, stdin_json="x" * (MIB - 2)), "k")) == MIB
    error = refused(ask(counting, stdin_json="x" * (MIB - 1)), counting)
    assert (error.code, type(error.form)) == ("plan.exec_stdin_too_large", Transport)
    assert error.info.details == {"program_path": str(counting), "max_stdin_bytes": MIB, "stdin_bytes": MIB + 1}


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_c50_148_more_output_than_a_program_may_write(tmp_path: Path, name: str) -> None:
    script = f"head -c 1200000 /dev/zero >&{1 if name == 'stdout' else 2}; echo 1"
    verbose = program(tmp_path / "verbose", script)
    error = refused(ask(verbose), verbose)
    assert (error.code, type(error.form)) == (f"plan.exec_{name}_too_large", Transport)
    assert isinstance(error.info.details, dict)
    assert error.info.details[f"max_{name}_bytes"] == MIB
    assert error.info.details[f"{name}_bytes"] >= 1_200_000

"""Graphviz as a child process: programs of our own stand for ``dot``."""

from __future__ import annotations

from pathlib import Path

import pytest

from ergo_cli.cli.app import execute
from ergo_cli.errors import ErgoError
from ergo_cli.tools import graphviz
from ergo_cli.tools.graphviz import draw_with_graphviz
from tests.channels.ingress_drivers import left_of
from tests.cli.started import started

GRAPH = Path(__file__).parents[2] / "fixtures" / "order_threshold" / "graphs" / "order_threshold.yaml"


@pytest.fixture
def dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script on the PATH that is called ``dot``."""
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\ncat\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


def refusal(text: str = "digraph {}") -> ErgoError:
    with pytest.raises(ErgoError) as raised:
        draw_with_graphviz(text, "svg")
    return raised.value


def test_a_large_text_goes_in_and_comes_out(dot: Path) -> None:
    text = 'digraph "é" {\n' + '  "n0" -> "n1"\n' * 200_000 + "}\n"
    assert draw_with_graphviz(text, "svg").decode() == text


def test_a_picture_without_end_is_cut_off(dot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphviz, "PICTURE_LIMIT", 2**20)
    dot.write_text("#!/bin/sh\nexec yes\n")
    error = refusal()
    assert error.code == "cli.graphviz_render_failed"
    assert "1 MiB" in error.message


def test_what_the_program_complains_of_is_kept_short(dot: Path) -> None:
    dot.write_text("#!/bin/sh\nyes complaint | head -c 1000000 >&2\nexit 1\n")
    error = refusal()
    assert "status 1" in error.message
    assert len(error.details[0]) <= 4096


def test_a_program_that_draws_nothing(dot: Path) -> None:
    dot.write_text("#!/bin/sh\nexit 0\n")
    assert "drew nothing" in refusal().message


def test_an_interrupt_ends_the_program_and_what_it_started(
    dot: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    dot.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\ncat >/dev/null\nkill -TERM $PPID\nsleep 60\n")
    surroundings = {**environment, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    with started(tmp_path, surroundings, "graph", str(GRAPH), "-o", "s.svg") as child:
        _, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (130, b"interrupted\n")
    assert left_of(int((tmp_path / "pid").read_text())) == []
    assert not (tmp_path / "s.svg").exists()


def test_a_program_that_cannot_be_started(dot: Path) -> None:
    dot.write_text("#!/nowhere/sh\n")
    assert refusal().code == "cli.graphviz_unavailable"


def test_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert refusal().code == "cli.graphviz_unavailable"


def test_a_png_is_what_graphviz_draws(dot: Path, tmp_path: Path) -> None:
    dot.write_text("#!/bin/sh\ncat >/dev/null\nprintf '\\211PNG\\r\\n%s' \"$1\"\n")
    output = tmp_path / "s.png"
    assert execute(["graph", str(GRAPH), "-o", str(output)]) == 0
    assert output.read_bytes() == b"\x89PNG\r\n-Tpng"


@pytest.mark.parametrize(
    ("arguments", "code", "remedy"),
    [
        (["-o", "s.png"], 6, "install Graphviz"),
        (["-o", "s.JPG"], 2, "name a .png, .pdf or .svg"),
        (["-o", "s.gif", "--as", "text"], 2, "name a .png, .pdf or .svg"),
        (["-o", "s.png", "--as", "text"], 2, "leave --as out"),
        (["--as", "pdf"], 2, "name a file with -o graph.pdf"),
    ],
)
def test_no_text_is_called_a_picture(
    arguments: list[str],
    code: int,
    remedy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert execute(["graph", str(GRAPH), *arguments]) == code
    assert f"  fix: {remedy}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

"""Graphviz as a child process: programs of our own stand for ``dot``."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ergo_cli.errors import ErgoError
from ergo_cli.tools import pictures
from ergo_cli.tools.pictures import draw_svg
from tests.channels.ingress_drivers import left_of


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
        draw_svg(text)
    return raised.value


def test_a_large_text_goes_in_and_comes_out(dot: Path) -> None:
    text = 'digraph "é" {\n' + '  "n0" -> "n1"\n' * 200_000 + "}\n"
    assert draw_svg(text) == text


def test_a_picture_without_end_is_cut_off(dot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "SVG_LIMIT", 2**20)
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


def test_an_interrupt_ends_the_program_and_what_it_started(dot: Path, tmp_path: Path) -> None:
    dot.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\ncat >/dev/null\nkill -ALRM $PPID\nsleep 60\n")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            draw_svg("digraph {}")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert left_of(int((tmp_path / "pid").read_text())) == []


def test_a_program_that_cannot_be_started(dot: Path) -> None:
    dot.write_text("#!/nowhere/sh\n")
    assert refusal().code == "cli.graphviz_unavailable"


def test_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert refusal().code == "cli.graphviz_unavailable"

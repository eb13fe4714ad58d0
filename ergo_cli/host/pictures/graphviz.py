"""SVG pictures, drawn by the ``dot`` program of Graphviz (spec 30 §25)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from typing import IO, BinaryIO, cast

from ergo_cli.errors import ErgoError, reason

SVG_LIMIT = 64 * 1024 * 1024
"""How many bytes a picture may have."""

_WORDS = 4096
_FIX_INSTALL = (
    "install Graphviz (apt install graphviz, brew install graphviz, https://graphviz.org/download), or use --as dot"
)


def draw_svg(dot: str) -> str:
    """The SVG that Graphviz makes of a DOT text. Its program is looked up on PATH and gets no shell.

    Raises ErgoError: ``cli.graphviz_unavailable``, ``cli.graphviz_write_failed`` (the text cannot be handed over),
    ``cli.graphviz_wait_failed``, ``cli.graphviz_render_failed``.
    """
    program = shutil.which("dot")
    if program is None:
        message = "Graphviz is not installed: there is no program 'dot' on the PATH"
        raise ErgoError("cli.graphviz_unavailable", message, where="program 'dot'", fix=_FIX_INSTALL)
    with tempfile.TemporaryFile() as text, tempfile.TemporaryFile() as complaints:
        _hand_over(dot, text)
        svg, status = _run(program, text, complaints)
        if len(svg) > SVG_LIMIT:
            raise _not_rendered(program, f"the picture is larger than {SVG_LIMIT // 2**20} MiB", complaints)
        if status:
            raise _not_rendered(program, f"'dot' ended with status {status}", complaints)
        if not svg:
            raise _not_rendered(program, "'dot' drew nothing", complaints)
    return svg.decode(errors="replace")


def _hand_over(dot: str, text: IO[bytes]) -> None:
    """Put the text into a file, which ``dot`` can read at its own pace."""
    try:
        text.write(dot.encode())
        text.seek(0)
    except OSError as error:
        message, fix = f"the graph cannot be handed to 'dot': {reason(error)}", "make room for temporary files"
        raise ErgoError("cli.graphviz_write_failed", message, where="temporary file", fix=fix) from error


def _run(program: str, text: IO[bytes], complaints: IO[bytes]) -> tuple[bytes, int]:
    """What the program prints, one byte beyond the limit at most, and its exit status."""
    try:
        process = subprocess.Popen(
            [program, "-Tsvg"], stdin=text, stdout=subprocess.PIPE, stderr=complaints, process_group=0
        )
    except OSError as error:
        message = f"'{program}' cannot be started: {reason(error)}"
        raise ErgoError("cli.graphviz_unavailable", message, where=program, fix=_FIX_INSTALL) from error
    with process:
        try:
            svg = cast(BinaryIO, process.stdout).read(SVG_LIMIT + 1)
            if len(svg) > SVG_LIMIT:
                _kill(process)
            return svg, process.wait()
        except OSError as error:
            message, fix = f"waiting for '{program}' failed: {reason(error)}", "try again, or use --as dot"
            raise ErgoError("cli.graphviz_wait_failed", message, where=program, fix=fix) from error
        finally:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End what has not ended, with all that it started: ``dot`` may be a script around another."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _not_rendered(program: str, message: str, complaints: IO[bytes]) -> ErgoError:
    complaints.seek(0)
    words = complaints.read(_WORDS).decode(errors="replace").strip()
    fix = "use --as dot and look at the text, or reinstall Graphviz"
    return ErgoError("cli.graphviz_render_failed", message, where=program, fix=fix, details=(words,) if words else ())

"""Draw DOT texts with Graphviz, a program of its own (spec 30 §25)."""

from __future__ import annotations

import shutil
from typing import IO, BinaryIO, cast

from ergo_cli.channels.group import ProcessGroup
from ergo_cli.errors import ErgoError, reason
from ergo_cli.stores.remedies import temporary_remedy
from ergo_cli.stores.temporaries import unnamed_file

PICTURE_LIMIT = 64 * 1024 * 1024
"""How many bytes a picture of Graphviz may have."""

_WORDS = 4096
_FIX_INSTALL = (
    "install Graphviz (apt install graphviz, brew install graphviz, https://graphviz.org/download), or use --as dot"
)


def draw_with_graphviz(dot: str, form: str) -> bytes:
    """Draw a DOT text as ``svg``, ``png`` or ``pdf`` with Graphviz: its program ``dot`` on the PATH, without a shell.

    Raises ErgoError: ``cli.graphviz_unavailable``, ``cli.graphviz_write_failed`` (the text cannot be handed over),
    ``cli.graphviz_wait_failed``, ``cli.graphviz_render_failed``.
    """
    program = shutil.which("dot")
    if program is None:
        message = "Graphviz is not installed: there is no program 'dot' on the PATH"
        raise ErgoError("cli.graphviz_unavailable", message, where="program 'dot'", fix=_FIX_INSTALL)
    with _temporary_file() as text, _temporary_file() as complaints:
        _hand_over(dot, text)
        drawn, status = _run(program, form, text, complaints)
        if len(drawn) > PICTURE_LIMIT:
            raise _not_rendered(program, f"the picture is larger than {PICTURE_LIMIT // 2**20} MiB", complaints)
        if status:
            raise _not_rendered(program, f"'dot' ended with status {status}", complaints)
        if not drawn:
            raise _not_rendered(program, "'dot' drew nothing", complaints)
    return drawn


def _temporary_file() -> IO[bytes]:
    try:
        return unnamed_file()
    except OSError as error:
        raise _not_handed_over(error) from error


def _hand_over(dot: str, text: IO[bytes]) -> None:
    """Write the text to a file: a pipe would block if ``dot`` does not read it."""
    try:
        text.write(dot.encode())
        text.seek(0)
    except OSError as error:
        raise _not_handed_over(error) from error


def _not_handed_over(error: OSError) -> ErgoError:
    message = f"the graph cannot be handed to 'dot': {reason(error)}"
    return ErgoError("cli.graphviz_write_failed", message, where="temporary file", fix=temporary_remedy(error))


def _run(program: str, form: str, text: IO[bytes], complaints: IO[bytes]) -> tuple[bytes, int]:
    """The program's output, cut off one byte beyond the limit, and its exit status."""
    try:
        group = ProcessGroup.start([program, f"-T{form}"], None, stdin=text, stderr=complaints)
    except OSError as error:
        message = f"'{program}' cannot be started: {reason(error)}"
        raise ErgoError("cli.graphviz_unavailable", message, where=program, fix=_FIX_INSTALL) from error
    with cast(BinaryIO, group.child.stdout) as pictured:
        try:
            drawn = pictured.read(PICTURE_LIMIT + 1)
            return drawn, 0 if len(drawn) > PICTURE_LIMIT else group.wait() or 0
        except OSError as error:
            message, fix = f"waiting for '{program}' failed: {reason(error)}", "try again, or use --as dot"
            raise ErgoError("cli.graphviz_wait_failed", message, where=program, fix=fix) from error
        finally:
            group.end()  # ``dot`` may be a script that starts another program


def _not_rendered(program: str, message: str, complaints: IO[bytes]) -> ErgoError:
    complaints.seek(0)
    words = complaints.read(_WORDS).decode(errors="replace").strip()
    fix = "use --as dot and look at the text, or reinstall Graphviz"
    return ErgoError("cli.graphviz_render_failed", message, where=program, fix=fix, details=(words,) if words else ())

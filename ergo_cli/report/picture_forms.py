"""The forms of pictures, and which of them a command line asks for."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from ergo_cli.errors import UsageError


class Form(Enum):
    """The form of a picture."""

    TEXT = "text"
    DOT = "dot"
    MERMAID = "mermaid"
    SVG = "svg"
    PNG = "png"
    PDF = "pdf"


_SUFFIXES = {
    ".dot": Form.DOT,
    ".gv": Form.DOT,
    ".mmd": Form.MERMAID,
    ".mermaid": Form.MERMAID,
    ".svg": Form.SVG,
    ".png": Form.PNG,
    ".pdf": Form.PDF,
}
_OTHER_PICTURES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ico", ".ps", ".eps", ".svgz", ".emf", ".wmf"}
)
"""Suffixes of pictures that are not drawn."""
BINARY = (Form.PNG, Form.PDF)
"""The forms that are no text."""
_DRAWN = (Form.SVG, *BINARY)


def form_of(output: Path | None, asked: Form | None) -> Form:
    """The form that was asked for, else that of the file's suffix, else text.

    Raises UsageError: ``cli.invalid_option_value`` for the suffix of a picture that cannot be drawn,
    ``cli.conflicting_options`` for a form that is not what the suffix says, ``cli.missing_required_option`` for PNG and
    PDF without a file.
    """
    suffix = "" if output is None else output.suffix.lower()
    if suffix in _OTHER_PICTURES:
        message = f"'{output}' cannot be drawn: pictures are {', '.join(_SUFFIXES)}"
        raise UsageError("cli.invalid_option_value", message, where="option --output", fix="name a .png, .pdf or .svg")
    named = _SUFFIXES.get(suffix)
    form = asked or named or Form.TEXT
    if named in _DRAWN and form is not named:
        message, fix = (
            f"'{output}' would not hold {suffix[1:]} but {form.value}",
            "leave --as out, or name another file",
        )
        raise UsageError("cli.conflicting_options", message, where="option --as", fix=fix)
    if form in BINARY and output is None:
        message = f"a picture as {form.value} is no text for a terminal"
        fix = f"name a file with -o graph.{form.value}, or -o - for standard output"
        raise UsageError("cli.missing_required_option", message, where="option --output", fix=fix)
    return form

"""Draw pictures of programs as text, DOT, Mermaid, SVG, PNG or PDF, and render the result (spec 30 §25, 00 §12.8)."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from msgspec import Struct

from ergo_cli.errors import UsageError
from ergo_cli.programs.pictures import Picture
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.document import GraphDocument, Report, unicode, warning_texts
from ergo_cli.report.error_text import near
from ergo_cli.report.layout import plain_lines
from ergo_cli.report.picture_dot import picture_to_dot
from ergo_cli.report.picture_forms import BINARY, Form
from ergo_cli.report.picture_looks import Shown
from ergo_cli.report.picture_mermaid import picture_to_mermaid
from ergo_cli.report.picture_outline import outline
from ergo_cli.report.text import Block, Line
from ergo_cli.tools.graphviz import draw_with_graphviz
from ergo_cli.tools.pictures import LoadedPicture


class Drawn(Struct, frozen=True):
    """A picture in one form: its bytes for a file, its text (None for PNG and PDF) and blocks for standard output."""

    form: Form
    data: bytes
    text: str | None
    blocks: tuple[Block, ...]


def draw(picture: Picture, form: Form, shown: Shown) -> Drawn:
    """Draw the picture in ``form``.

    Raises UsageError ``cli.conflicting_options`` for ports of a picture that has none, ErgoError ``cli.graphviz_*`` as
    ``draw_with_graphviz``.
    """
    _check_ports(picture, shown)
    match form:
        case Form.TEXT:
            blocks = outline(picture, shown)
            text = "".join(f"{line}\n" for line in plain_lines(blocks))
            return Drawn(form, text.encode(), text, blocks)
        case Form.DOT:
            text = picture_to_dot(picture, shown)
        case Form.MERMAID:
            text = picture_to_mermaid(picture, shown)
        case Form.SVG | Form.PNG | Form.PDF:
            data = draw_with_graphviz(picture_to_dot(picture, shown), form.value)
            if form in BINARY:
                return Drawn(form, data, None, ())
            text = data.decode(errors="replace")
        case _:
            assert_never(form)
    return Drawn(form, text.encode(), text, tuple(map(Line, text.removesuffix("\n").split("\n"))))


def _check_ports(picture: Picture, shown: Shown) -> None:
    if shown.ports and any(edge.ports is None for edge in picture.edges):
        message = f"the edges of '{picture.graph_id}' have no ports to show"
        raise UsageError("cli.conflicting_options", message, where="option --show-ports", fix="leave --show-ports out")


def render_picture(loaded: LoadedPicture, drawn: Drawn, output: Path | None) -> CommandResult:
    """Render a picture for standard output, or the message that it was written to ``output``."""
    notices = loaded.notices
    document = graph_document(loaded.picture.graph_id, drawn, output)
    report = Report(command="graph", outcome="ok", exit_code=0, warnings=warning_texts(notices), graph=document)
    return CommandResult(report, drawn_blocks(drawn, output), notices=notices)


def graph_document(name: str, drawn: Drawn, output: Path | None) -> GraphDocument:
    """What a report says of a picture: its text, or where it was written."""
    place = None if output is None else unicode(str(output))
    return GraphDocument(unicode(name), drawn.form.value, place, drawn.text if output is None else None)


def drawn_blocks(drawn: Drawn, output: Path | None) -> tuple[Block, ...]:
    """The picture for standard output, or the message that it was written."""
    return drawn.blocks if output is None else (Line(f"wrote {near(str(output))}"),)

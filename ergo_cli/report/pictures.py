"""Pictures of graphs, told: in which form, and where they went."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import assert_never

from msgspec import Struct

from ergo_cli.host.pictures.graphviz import draw_svg
from ergo_cli.host.pictures.loading import Picture
from ergo_cli.report.blocks import Block, Line
from ergo_cli.report.document import GraphDocument, Report, unicode, warning_texts
from ergo_cli.report.graphs.dot import graph_to_dot
from ergo_cli.report.graphs.drawing import Shown
from ergo_cli.report.graphs.mermaid import graph_to_mermaid
from ergo_cli.report.graphs.outline import outline
from ergo_cli.report.plain import plain_lines
from ergo_cli.report.told import Told


class Form(Enum):
    """What a picture is made of."""

    TEXT = "text"
    DOT = "dot"
    MERMAID = "mermaid"
    SVG = "svg"


_SUFFIXES = {".dot": Form.DOT, ".gv": Form.DOT, ".mmd": Form.MERMAID, ".mermaid": Form.MERMAID, ".svg": Form.SVG}


class Drawn(Struct, frozen=True):
    """A picture in one form: the text of a file, and the blocks that stand for it on a screen."""

    picture: Picture
    form: Form
    text: str
    blocks: tuple[Block, ...]


def form_of(output: Path | None) -> Form:
    """The form that a file's suffix asks for; text where it says nothing."""
    return Form.TEXT if output is None else _SUFFIXES.get(output.suffix.lower(), Form.TEXT)


def draw(picture: Picture, form: Form, shown: Shown) -> Drawn:
    """The picture in ``form``. Raises ErgoError ``cli.graphviz_*`` as ``draw_svg``."""
    graph, catalog = picture.graph, picture.catalog
    match form:
        case Form.TEXT:
            blocks = outline(graph, catalog, shown)
            return Drawn(picture, form, "".join(f"{line}\n" for line in plain_lines(blocks)), blocks)
        case Form.DOT:
            text = graph_to_dot(graph, catalog, shown)
        case Form.MERMAID:
            text = graph_to_mermaid(graph, catalog, shown)
        case Form.SVG:
            text = draw_svg(graph_to_dot(graph, catalog, shown))
        case _:
            assert_never(form)
    return Drawn(picture, form, text, tuple(map(Line, text.removesuffix("\n").split("\n"))))


def picture_told(drawn: Drawn, output: Path | None) -> Told:
    """A picture for standard output, or the word that it was written to ``output``."""
    notices = drawn.picture.notices
    place = None if output is None else unicode(str(output))
    text = drawn.text if output is None else None
    document = GraphDocument(drawn.picture.graph.graph_id, drawn.form.value, place, text)
    report = Report(command="graph", outcome="ok", exit_code=0, warnings=warning_texts(notices), graph=document)
    return Told(report, drawn.blocks if output is None else (Line(f"wrote {output}"),), notices=notices)

"""The chain behind a value as a picture: every part once, the way to the change in colour (spec 70 §8)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from msgspec import Struct

from ergo_cli.core.diagnostics import Notice
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.pictures import Edge, Node, Picture, Role, Standing
from ergo_cli.replay.reasons import Why
from ergo_cli.report.chain_texts import alike_text, event_text, failure_texts, origin_text, sides_text
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.document import Report, warning_texts
from ergo_cli.report.error_text import near
from ergo_cli.report.layout import plain_lines
from ergo_cli.report.picture_forms import Form
from ergo_cli.report.picture_looks import Shown
from ergo_cli.report.pictures import Drawn, draw, drawn_blocks, graph_document
from ergo_cli.report.why import why_blocks, why_document


def draw_why(why: Why, form: Form, depth: int | None = None) -> Drawn:
    """Draw the chain in ``form``; as text it is the report. Raises ErgoError ``cli.graphviz_*`` as ``draw``."""
    if form is not Form.TEXT:
        return draw(picture_of_chain(why, depth), form, Shown())
    blocks = tuple(why_blocks(why, depth))
    text = "".join(f"{line}\n" for line in plain_lines(blocks))
    return Drawn(form, text.encode(), text, blocks)


def render_drawn_why(
    why: Why, drawn: Drawn, output: Path | None, notices: tuple[Notice, ...], depth: int | None
) -> CommandResult:
    """Render a chain that was drawn: for standard output, or the message that it was written to ``output``."""
    report = Report(
        command="why",
        outcome="ok",
        exit_code=0,
        warnings=warning_texts(notices),
        why=why_document(why, depth),
        graph=graph_document(why.node, drawn, output),
    )
    return CommandResult(report, drawn_blocks(drawn, output), notices=notices)


def picture_of_chain(why: Why, depth: int | None = None) -> Picture:
    """The chain of ``why``, as far as ``depth`` steps, from what it begins with down to the effect."""
    drawing = _Drawing(why)
    drawing.add(why.cause, None, depth)
    return Picture(
        graph_id=why.node,
        title=f"{event_text(why)}: {why.node}",
        headline=f"{event_text(why)}: {why.node}",
        headings=("part", "made by", "from"),
        nodes=tuple(map(drawing.node, drawing.boxes)),
        edges=tuple(drawing.edges),
    )


class _Box(Struct):
    """A part with what is known of it; ``cause`` is None while it is met as the end of a rewired input alone.

    ``event`` names the earlier event that it is of, and is empty where it is of none.
    """

    id: str
    event: str
    part: str
    cause: Cause | None
    is_followed: bool


class _Drawing:
    def __init__(self, why: Why) -> None:
        self._why = why
        self._numbers = count()
        self._boxes: dict[tuple[int | None, str], list[_Box]] = {}
        self.boxes: list[_Box] = []
        self.edges: list[Edge] = []

    def add(self, cause: Cause, episode: int | None, depth: int | None) -> _Box:
        """Draw a step of an episode and its sources; a part that is there already is taken again."""
        episode = episode if cause.episode is None else cause.episode
        sources = () if depth == 0 else cause.sources
        box = self._box(cause, episode, has_sources=bool(sources))
        for source in sources:
            end = self.add(source, episode, None if depth is None else depth - 1)
            note = ", ".join(filter(None, (self._note(source), alike_text(cause))))
            edge = Edge(end.id, box.id, note=note, standing=self._standing(source))
            if edge not in self.edges:
                self.edges.append(edge)
        return box

    def _box(self, cause: Cause, episode: int | None, *, has_sources: bool) -> _Box:
        of_part = self._boxes.setdefault((episode, cause.part), [])
        found = next((box for box in of_part if _is_same(box, cause, has_sources)), None)
        if found is None:
            found = _Box(f"s{next(self._numbers)}", self._event(episode), cause.part, None, is_followed=False)
            of_part.append(found)
            self.boxes.append(found)
        if found.cause is None and not cause.rewired:
            found.cause = cause
        found.is_followed = found.is_followed or has_sources
        return found

    def _event(self, episode: int | None) -> str:
        return "" if episode is None else f"event {self._why.episodes[episode].event_id}"

    def node(self, box: _Box) -> Node:
        """The node of a box: a source, the effect at the end, or what is between them."""
        role = Role.ACTION if box is self.boxes[0] else Role.COMPUTE if box.is_followed else Role.SOURCE
        standing = Standing.SAME if box.cause is None else self._standing(box.cause)
        notes = dict.fromkeys((box.event,) if box.cause is None else (box.event, *self._notes(box.cause)))
        made = "" if box.cause is None else box.cause.made
        return Node(
            id=box.id,
            path=(box.part,),
            role=role,
            type=role.value,
            impl=made,
            runtime_id=box.id,
            notes=tuple(filter(None, notes)),
            standing=standing,
        )

    def _notes(self, cause: Cause) -> Iterator[str]:
        yield sides_text(cause)
        yield cause.made
        yield origin_text(self._why, cause)
        yield _place(cause)
        yield from failure_texts(cause)
        yield "the change" if cause.is_change else "the first that differs" if cause.is_parting else ""

    def _note(self, source: Cause) -> str:
        """What is written at the way from a source: the input; of a rewired one also what came over either wire."""
        if not source.rewired:
            return source.role
        return ", ".join((f"{source.role}: {sides_text(source)}", source.rewired, _place(source), "the change"))

    def _standing(self, cause: Cause) -> Standing:
        if cause.is_change:
            return Standing.CHANGE
        return Standing.DIFFERS if cause.differs and self._why.knows_capture else Standing.SAME


def _is_same(box: _Box, cause: Cause, has_sources: bool) -> bool:
    """Whether a step is of a box of its part: it is marked so, or has its value and does not go another way back."""
    if box.cause is None or cause.rewired or cause.is_repeated:
        return True
    values = (box.cause.recorded, box.cause.today, box.cause.made)
    return values == (cause.recorded, cause.today, cause.made) and not (box.is_followed and has_sources)


def _place(cause: Cause) -> str:
    if cause.file is None:
        return ""
    return near(cause.file) if cause.line is None else f"{near(cause.file)}:{cause.line}"

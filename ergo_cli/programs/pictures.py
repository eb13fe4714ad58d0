"""Pictures of programs as plain values: nodes, the edges between them, and what a run made of both (spec 00 §12.8).

A kind that has pictures offers them through the protocols below; how a picture is drawn is not its business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from ergo_cli.programs.recorded import Episode


class Role(Enum):
    """What a node does with the data that reaches it."""

    SOURCE = "source"
    COMPUTE = "compute"
    TRIGGER = "trigger"
    ACTION = "action"
    STATE = "state"
    JOIN = "join"


class NodeOutcome(Enum):
    """What became of a node in a run."""

    NOT_STARTED = "not started"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    CUT_OFF = "cut off"
    """The run ended while the node had not."""


class NodeRun(Struct, frozen=True):
    """A node in a run: ``counts`` has the same names for all nodes of a picture."""

    outcome: NodeOutcome
    counts: Mapping[str, int]
    has_errors: bool = False


class Standing(Enum):
    """How a part of two programs, or what it did, stands between them."""

    SAME = "same"
    DIFFERS = "differs"
    CHANGE = "change"
    """The programs themselves differ here."""


class Node(Struct, frozen=True, kw_only=True):
    """A part of a program; ``path`` are the names that lead to it, ``type`` is its kind's own word for what it is.

    ``notes`` are further lines of its label, ``standing`` is given where a picture compares two programs.
    """

    id: str
    path: tuple[str, ...]
    role: Role
    type: str
    impl: str
    runtime_id: str
    run: NodeRun | None = None
    notes: tuple[str, ...] = ()
    standing: Standing | None = None

    @property
    def name(self) -> str:
        """The names that lead to the node, joined."""
        return "/".join(self.path)


class Input(Struct, frozen=True):
    """An end of an edge outside the program; ``key`` is unique, ``name`` for readers."""

    key: str
    name: str


class Delivered(Struct, frozen=True):
    """How many events a run passed over an edge, of those that were written for it."""

    read: int
    written: int


class Edge(Struct, frozen=True):
    """A way that data takes; its ends are ids of nodes. ``ports`` are those at its ends, None where there are none.

    ``note`` is written at it; ``standing`` as that of a node.
    """

    source: str | Input
    target: str | Input
    ports: tuple[str, str] | None = None
    delivered: Delivered | None = None
    note: str = ""
    standing: Standing | None = None


class Output(Struct, frozen=True):
    """An output of the program: the node and the port that give it."""

    name: str
    node: str
    port: str


class Picture(Struct, frozen=True, kw_only=True):
    """A program, or a run of one.

    ``nodes`` stand in the order in which they are read, ``headings`` call a node, its type and its inputs. The groups
    of nodes of a picture that ``is_expanded`` are opened.
    """

    graph_id: str
    title: str
    headline: str
    headings: tuple[str, str, str]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    outputs: tuple[Output, ...] = ()
    is_expanded: bool = False


@runtime_checkable
class DrawsPrograms(Protocol):
    """A ``Kind`` whose programs have a picture."""

    def picture(self, program: Any) -> Picture:
        """The picture of a program. Raises ErgoError for one that cannot run."""
        ...


@runtime_checkable
class DrawsRuns(Protocol):
    """An ``Acting`` whose recorded runs have a picture."""

    def run_picture(self, episodes: Iterable[Episode]) -> Picture | None:
        """The picture of all that one bundle records, read once; None where it records nothing."""
        ...

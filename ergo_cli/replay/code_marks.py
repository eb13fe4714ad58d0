"""The changes in the code of own primitives, at the nodes of a chain that this code makes (spec 70 §8)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from msgspec.structs import replace

from ergo_cli.programs.causes import Cause
from ergo_cli.programs.changed_code import change_cause
from ergo_cli.programs.changes import Change


def with_code_marks(cause: Cause, changes: Sequence[Change]) -> Cause:
    """The chain in which each node is followed by the changes of its code, but where its sources are shown elsewhere.

    The chain of a graph knows what differs in the graph; the code behind a node is in no graph.
    """
    code = [change for change in changes if change.file and PurePath(change.file).suffix == ".py" and not change.idle]
    return _marked(cause, code) if code else cause


def _marked(cause: Cause, changes: Sequence[Change]) -> Cause:
    own = () if cause.is_repeated else tuple(change_cause(each) for each in changes if cause.part in each.nodes)
    return replace(cause, sources=(*own, *(_marked(source, changes) for source in cause.sources)))

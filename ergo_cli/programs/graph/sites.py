"""Where expansion stands: one instantiated definition, its way from the root and the places of its text."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.definition import ClusterDefinition
from ergo_cli.programs.graph.faults import COMPOSITION, authored

AuthoringPath = tuple[tuple[str, str], ...]
"""(cluster id, node id) pairs from the root downwards."""


class Site(Struct, frozen=True):
    """One instance of a definition; ``prefix`` leads from the root to the node that instantiates it.

    ``label`` names the definition's file or text for people; ``places`` are those of its text.
    """

    definition: ClusterDefinition
    prefix: AuthoringPath
    places: Mapping[str, str]
    label: str | None = None

    def path_to(self, node_id: str) -> AuthoringPath:
        """The authoring path of one of this definition's nodes."""
        return (*self.prefix, (self.definition.id, node_id))

    def name_of(self, node_id: str) -> str:
        """A node as people know it: the authored ids from the root, joined."""
        return "/".join(name for _, name in self.path_to(node_id))

    def input_key(self, name: str) -> str:
        """The key of an input's placeholder, unique to this instance (spec 20 §7.4 step 2)."""
        return "/".join([*(f"{cluster}:{node}" for cluster, node in self.prefix), self.definition.id, name])

    def place(self, authored_path: str) -> str | None:
        """``file:line:column nodes.hot`` for ``nodes.hot``, or None where no place is known."""
        position = self.places.get(authored_path)
        return None if position is None else f"{position} {authored_path}"

    def fault(self, rule: str, message: str, path: str, *, at: str | None = None, fix: str | None = None) -> RuleError:
        """An error of this definition at the authored path ``at``; tells the cluster, unless it is the root."""
        where = (self.place(at) if at else None) or (f"{self.label} {path}" if self.label else None)
        within = f" (in cluster {self.definition.id}@{self.definition.version})" if self.prefix else ""
        return RuleError(
            rule,
            message + within,
            phase=COMPOSITION,
            path=path,
            fix=fix,
            where=where,
            authoring_path=authored(self.prefix),
        )

    def node_fault(self, rule: str, message: str, node_id: str, *, fix: str | None = None) -> RuleError:
        """An error of one of this definition's nodes, at ``$.nodes``."""
        return RuleError(
            rule,
            message,
            phase=COMPOSITION,
            path="$.nodes",
            fix=fix,
            where=self.place(f"nodes.{node_id}"),
            node=node_id,
            authoring_path=authored(self.path_to(node_id)),
        )

"""Which member of the context each source of a graph reads."""

from __future__ import annotations

from ergo_cli.programs.graph.program import GraphProgram


def keys_read(program: GraphProgram) -> dict[str, str]:
    """The member of the context that each source reads, of several the first."""
    needs = ((source, source.needs[0].name) for source in program.declared_sources() if source.needs)
    named = ((source, str(source.parameters.get(name[1:])) if name.startswith("$") else name) for source, name in needs)
    return {source.path: name for source, name in named}

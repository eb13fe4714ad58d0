"""Which action of a graph makes an effect, as far as its manifest says so."""

from __future__ import annotations

from ergo_cli.core.json import JsonValue
from ergo_cli.events.composition import ActionNode
from ergo_cli.programs.graph.program import GraphProgram


def only_maker(program: GraphProgram, effect: JsonValue) -> str | None:
    """The one action of a program that can make such an effect: one that sets these keys, or emits this kind."""
    if not program.declares_all_effects():
        return None
    match effect:
        case {"kind": "set_context", "writes": [*writes]}:
            keys = [write.get("key") for write in writes if isinstance(write, dict)]
            makers = [action.path for action in program.declared_actions() if _written_keys(action) == keys]
        case {"kind": kind}:
            actions = program.declared_actions()
            makers = [action.path for action in actions if kind in {intent.name for intent in action.effects.intents}]
        case _:
            makers = []
    return makers[0] if len(makers) == 1 else None


def _written_keys(action: ActionNode) -> list[JsonValue]:
    names = [write.name for write in action.effects.writes]
    return [action.parameters.get(name[1:]) if name.startswith("$") else name for name in names]

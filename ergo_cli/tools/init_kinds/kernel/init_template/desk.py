"""The desk: does what the agent asks for. Put your own tools here."""

from __future__ import annotations

from typing import Any

from ergo_cli.programs.kernel import Action, ActionCall, ActionError, CallTool

_LANGUAGES = {"anna": "en", "bruno": "it"}


def execute(action: Action, call: ActionCall) -> Any:
    """The answer to an action; ``call.action_id`` is the same at every try."""
    match action:
        case CallTool("language", {"customer": str(customer)}):
            return {"language": _LANGUAGES.get(customer, "en")}
        case CallTool("send", {"to": str()}):
            return {"sent": call.action_id}
        case _:
            raise ActionError.permanent(f"the desk cannot do this: {action!r}")

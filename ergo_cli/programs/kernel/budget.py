"""What a run has spent, counted from its log so that limits survive restarts (spec 40 §20)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from ergo_cli.programs.kernel.actions import Action, CallLLM, CallTool
from ergo_cli.programs.kernel.errors import Category, KernelError
from ergo_cli.programs.kernel.events import ActionFailed, ActionRequested, ActionSucceeded, Event
from ergo_cli.programs.kernel.policy import BudgetRules
from ergo_cli.programs.kernel.wire import FreeValue


class Budget:
    """Counts tool calls and model tokens of a run and refuses the action that would exceed its rules.

    A token count is the ``usage`` of a model's output: an integer, or an object with ``total_tokens``, or else the
    sum of its ``input_tokens`` and ``output_tokens``.
    """

    def __init__(self, rules: BudgetRules, where: str) -> None:
        self._rules = rules
        self._where = where
        self._tool_calls = 0
        self._llm_tokens = 0
        self._asked: set[str] = set()  # ids of model requests without a result

    @property
    def is_limited(self) -> bool:
        """Whether there is anything to count."""
        return self._rules != BudgetRules()

    def observe(self, events: Iterable[Event]) -> None:
        """Count what these events of the run spent."""
        for event in events:
            match event:
                case ActionRequested(action_id, {"CallLLM": _}):
                    self._asked.add(action_id)
                case ActionRequested(_, {"CallTool": _}):
                    self._tool_calls += 1
                case ActionSucceeded(action_id, output) if action_id in self._asked:
                    self._asked.discard(action_id)
                    self._llm_tokens += _tokens(output)
                case ActionFailed(action_id):
                    self._asked.discard(action_id)
                case _:
                    pass

    def check(self, action: Action) -> None:
        """Raise KernelError ``kernel.budget_exceeded`` if nothing is left for this action."""
        match action:
            case CallTool():
                self._refuse("max_tool_calls", self._rules.max_tool_calls, self._tool_calls)
            case CallLLM():
                self._refuse("max_llm_tokens", self._rules.max_llm_tokens, self._llm_tokens)
            case _:
                return

    def _refuse(self, name: str, limit: int | None, spent: int) -> None:
        if limit is not None and spent >= limit:
            message = f"budget exceeded: {name} {limit}, {spent} spent"
            raise KernelError(Category.POLICY, message, code="kernel.budget_exceeded", where=self._where)


def _tokens(output: FreeValue) -> int:
    match output:
        case {"usage": {"total_tokens": int(total)}}:
            return total
        case {"usage": int(total)}:
            return total
        case {"usage": dict()}:
            usage = cast("dict[str, object]", output["usage"])
            counts = (usage.get("input_tokens"), usage.get("output_tokens"))
            asked, answered = (count if isinstance(count, int) else 0 for count in counts)
            return asked + answered
        case _:
            return 0

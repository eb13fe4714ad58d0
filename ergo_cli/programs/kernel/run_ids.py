"""Which run an event belongs to (spec 00 §13.2)."""

from __future__ import annotations

import unicodedata
from typing import cast

from msgspec import Struct

from ergo_cli.programs.kernel.errors import Category, KernelError
from ergo_cli.programs.kernel.wire import FreeValue

_MEMBER = "$payload."


class RunIdRule(Struct, frozen=True):
    """How runs are named: a run for every event (both None), one for all, or one for each value of a member."""

    text: str | None = None
    member: str | None = None

    @classmethod
    def of(cls, text: str | None) -> RunIdRule:
        """The rule that the profile key ``run_id`` writes. Raises ValueError for a text that can name no run."""
        if text is None:
            return cls()
        if text.startswith(_MEMBER):
            return cls(member=text.removeprefix(_MEMBER))
        if not is_run_id(text):
            raise ValueError(f"a run id is a text without control characters, got {text!r}")
        return cls(text=text)

    @property
    def is_shared(self) -> bool:
        """Whether several events may belong to one run."""
        return self != RunIdRule()

    def run_id(self, graph_id: str, event_id: str, payload: FreeValue) -> str:
        """The run of an event. Raises KernelError where the payload does not name one."""
        if self.member is None:
            return f"{graph_id}/{event_id}" if self.text is None else self.text
        named = cast("dict[str, object]", payload).get(self.member) if isinstance(payload, dict) else None
        if isinstance(named, str) and is_run_id(named):
            return named
        message = f"the payload has no member '{self.member}' that names a run"
        fix = f"give the event a member '{self.member}': a text without control characters"
        raise KernelError(Category.DRIVER, message, where=f"event '{event_id}'", fix=fix)


def is_run_id(text: str) -> bool:
    """Whether a text can name a run: it is not empty, has no control characters and can be written (spec 40 §3.1)."""
    return bool(text) and not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)

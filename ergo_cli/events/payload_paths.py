"""Where in a payload the value of a context key is: a path to one place, in the language of ``core.path_patterns``."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.json import Item, JsonValue, Member, render
from ergo_cli.core.path_patterns import Where, parse_path

PlaceStep = Member | Item | Where
"""A step that leads to one place; of ``[key=text]`` the first item that has it."""


class PayloadPath(Struct, frozen=True):
    """A path to one place of a payload; ``text`` is as its author wrote it."""

    text: str
    steps: tuple[PlaceStep, ...]

    @classmethod
    def parse(cls, text: str) -> PayloadPath:
        """The path that a text is. Raises ValueError, PathFault among them, for one that is none or has wildcards."""
        steps = tuple(parse_path(text))
        places = tuple(step for step in steps if isinstance(step, Member | Item | Where))
        if len(places) < len(steps):
            raise ValueError(f"'{text}' leads to many places: a context key comes from one, so it has no wildcard")
        return cls(text, places)

    @classmethod
    def of_member(cls, name: str) -> PayloadPath:
        """The path to the member of a name."""
        return cls(name, (Member(name),))

    def text_of(self, steps: int) -> str:
        """The text of the first steps."""
        written = [self.step_text(number) for number in range(steps)]
        return "".join(each if each.startswith("[") else f".{each}" for each in written).removeprefix(".")

    def step_text(self, number: int) -> str:
        """The text of one step, by its number from 0."""
        match self.steps[number]:
            case Where(name, text):
                return f"[{name}={text}]"
            case step:
                return render((step,))

    def value(self, payload: JsonValue) -> JsonValue:
        """The value at this place; None where the payload has none there, or null."""
        value = payload
        for step in self.steps:
            if isinstance(value, dict):
                value = value.get(step.name) if isinstance(step, Member) else None
            elif isinstance(value, list):
                value = _item(value, step)
            else:
                return None
        return value


def _item(items: list[JsonValue], step: PlaceStep) -> JsonValue:
    match step:
        case Item(index):
            return items[index] if index < len(items) else None
        case Where(name, text):
            return next((item for item in items if isinstance(item, dict) and item.get(name) == text), None)
        case _:
            return None

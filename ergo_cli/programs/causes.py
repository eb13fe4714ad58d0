"""Why a value is what it is: the chain behind it, recorded beside today's (spec 70 §8)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.code_places import CodePlace


class Raised(Struct, frozen=True):
    """How a part failed: what it raised, by type and message, and the user's line where it did."""

    message: str
    place: CodePlace | None = None


class Cause(Struct, frozen=True, kw_only=True):
    """One step of the chain behind a value.

    ``part`` is what has the value: a node, a parameter, a record, a member of a state, a function; ``role`` what it is
    for the step that it is a source of: the name of an input. ``recorded`` and ``today`` are its value as texts, None
    where that side has none. ``made`` says how it comes about, ``key`` which member of the context it is read from,
    ``episode`` which earlier episode recorded it. ``is_change``: the program itself differs here. ``rewired`` says how
    an input was fed at the capture, where that is another way. ``is_repeated``: its own sources are shown elsewhere in
    the chain. ``is_unknown``: of the recorded value nothing but a digest is kept. ``recorded_failure`` and
    ``today_failure`` say how the part failed.

    A member of the context that an earlier episode wrote names it as ``written``; its source is then that write, where
    the chain is followed on. ``alike`` says how many writes between the two are left out, since they came about as the
    one that is shown before them. ``is_parting``: that write is the first on which the two sides differ. ``is_unset``:
    neither an earlier episode nor the payload gave the member a value. ``payload_path`` is the place of the payload
    that an adapter gives the member; ``is_default``: there is nothing, and its default stands for it.
    """

    part: str
    role: str = ""
    recorded: str | None = None
    today: str | None = None
    made: str = ""
    key: str | None = None
    episode: int | None = None
    file: str | None = None
    line: int | None = None
    is_change: bool = False
    rewired: str = ""
    is_repeated: bool = False
    is_unknown: bool = False
    recorded_failure: Raised | None = None
    today_failure: Raised | None = None
    written: int | None = None
    alike: int = 0
    is_parting: bool = False
    is_unset: bool = False
    payload_path: str | None = None
    is_default: bool = False
    sources: tuple[Cause, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether both sides are known to have another value."""
        return self.recorded != self.today and not self.is_unknown
